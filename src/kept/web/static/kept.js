// Clients of MLflow print addresses of its pages, behind a #, which no server sees: they lead to ours.
"use strict";
(() => {
  const pages = [
    [/^#\/experiments\/[^/]+\/runs\/([^/?]+)/, (run) => `/runs/${run}`],
    [/^#\/experiments\/([^/?]+)/, (experiment) => `/runs?experiment=${experiment}`],
    [/^#\/models\/([^/?]+)\/versions\/([^/?]+)/, (model, number) => `/models/${model}/${number}`],
    [/^#\/models\/([^/?]+)/, (model) => `/models/${model}`],
  ];
  for (const [written, ours] of pages) {
    const found = written.exec(location.hash);
    if (location.pathname === "/" && found) return location.replace(ours(...found.slice(1)));
  }
})();

// Keeps what is marked data-live="seconds" fresh: the page is asked for again and the marked parts are put in place.
(() => {
  const parts = () => [...document.querySelectorAll("[data-live][id]")];
  if (parts().length === 0) return;
  const pause = 1000 * Math.min(...parts().map((part) => Number(part.dataset.live) || 5));
  let waiting = pause;

  async function refresh() {
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
        if (!answer.ok) throw new Error(String(answer.status));
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of parts()) put(part, fresh.getElementById(part.id));
        document.dispatchEvent(new CustomEvent("kept:fresh"));
        waiting = pause;
      } catch {
        // The server is away: ask less often until it is back.
        waiting = Math.min(2 * waiting, 30000);
      }
    }
    setTimeout(refresh, waiting);
  }

  function put(part, fresh) {
    if (!fresh || fresh.innerHTML === part.innerHTML || part.contains(document.activeElement)) return;
    const ticked = new Set([...part.querySelectorAll("input:checked")].map((one) => one.value));
    part.replaceChildren(...fresh.childNodes);
    for (const one of part.querySelectorAll("input[type=checkbox]")) one.checked = ticked.has(one.value);
    part.hidden = fresh.hidden;
  }

  setTimeout(refresh, waiting);
})();
