// Draws the curves of a run's metrics over their steps, and groups of runs with their intervals.
"use strict";
(() => {
  const night = matchMedia("(prefers-color-scheme: dark)");
  const drawn = new WeakMap();

  function palette() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    return Object.fromEntries(["text", "dim", "line", "panel", "soft", "accent", "ok", "bad", "second"].map((name) => [name, colour(name)]));
  }

  // Names come from users: Plotly reads a little markup in texts, so its signs are taken away.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const short = (text) => plain(text.length > 40 ? `${text.slice(0, 38)}…` : text);

  function common(colours, height, left) {
    return {
      height, margin: { l: left, r: 14, t: 22, b: 34 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
      font: { family: "system-ui, sans-serif", size: 12, color: colours.text }, hoverlabel: { bgcolor: colours.panel, bordercolor: colours.line, font: { color: colours.text, size: 12 }, align: "left" },
      hovermode: "closest", dragmode: false, annotations: [], grid: {},
    };
  }
  const axis = (colours) => ({ gridcolor: colours.soft, zerolinecolor: colours.line, linecolor: colours.line, tickfont: { color: colours.dim, size: 11 }, fixedrange: true });
  const title = (text, x, y, colours) => ({ xref: "paper", yref: "paper", x, y, xanchor: "left", yanchor: "bottom", text, showarrow: false, font: { size: 12, color: colours.dim } });

  // Panels in rows of `across`, each with its own axes.
  function place(number, count, across) {
    const rows = Math.ceil(count / across), column = number % across, row = Math.floor(number / across);
    const gap = 0.07, width = (1 - gap * (across - 1)) / across, space = 0.34 / rows, height = (1 - space * (rows - 1)) / rows;
    const left = column * (width + gap), top = 1 - row * (height + space);
    return { x: [left, left + width], y: [Math.max(top - height, 0), top] };
  }

  // A panel for each metric; where there are several runs, each has its colour in all panels, and its name above them.
  function curves(found, colours) {
    const metrics = [...new Set(found.map((one) => one.name))], runs = [...new Set(found.map((one) => one.run))];
    const across = metrics.length > 1 ? 2 : 1, rows = Math.ceil(metrics.length / across);
    const inks = [colours.accent, colours.second, colours.ok, colours.warn, colours.bad, colours.dim], dashes = ["solid", "dash", "dot"];
    const layout = common(colours, 56 + rows * 190, 58), traces = [], named = new Set();
    if (runs.length > 1) Object.assign(layout, { showlegend: true, legend: { orientation: "h", x: 0, y: -0.16 / rows, yanchor: "top" }, height: layout.height + 44, margin: { ...layout.margin, b: 78 } });
    metrics.forEach((metric, number) => {
      const at = place(number, metrics.length, across), key = number ? String(number + 1) : "";
      const these = found.filter((one) => one.name === metric), thinned = these.filter((one) => !one.whole);
      layout[`xaxis${key}`] = { ...axis(colours), domain: at.x, anchor: `y${key}`, nticks: 7 };
      layout[`yaxis${key}`] = { ...axis(colours), domain: at.y, anchor: `x${key}`, nticks: 5 };
      layout.annotations.push(title(`<b>${short(metric)}</b>${thinned.length ? `, ${thinned[0].steps.length} of its points` : ""}`, at.x[0], at.y[1], colours));
      for (const one of these) {
        const order = runs.indexOf(one.run), ink = inks[order % inks.length], said = runs.length > 1 ? `${short(one.run)}, ` : "";
        const line = { width: 1.6, color: ink, dash: dashes[Math.floor(order / inks.length) % dashes.length] };
        traces.push({ x: one.steps, y: one.values, name: short(one.run), legendgroup: String(order), showlegend: !named.has(one.run), mode: one.steps.length > 60 ? "lines" : "lines+markers", marker: { size: 4, color: ink }, line, connectgaps: false, hovertemplate: `${said}step %{x}: %{y:.5g}<extra></extra>`, xaxis: `x${key}`, yaxis: `y${key}` });
        named.add(one.run);
      }
    });
    return { traces, layout };
  }

  function comparison(found, colours) {
    const groups = found.groups.length, room = 26 + groups * 26, space = 46, inner = found.metrics.length * (room + space);
    const layout = common(colours, inner + 40, 200), traces = [];
    const verdicts = new Map(found.differences.map((one) => [`${one.group}\n${one.metric}`, one]));
    const colour = { better: colours.ok, worse: colours.bad, higher: colours.second, lower: colours.second };
    found.metrics.forEach((metric, number) => {
      const key = number ? String(number + 1) : "", top = 1 - (number * (room + space)) / inner;
      const values = found.groups.map((group) => group.metrics[number]);
      const shown = found.groups.map((group, place) => ({ group, value: values[place], difference: verdicts.get(`${group.name}\n${metric.name}`) })).filter((one) => one.value.mean !== null).reverse();
      const names = shown.map((one) => short(one.group.name) + (one.group.name === found.baseline ? " (baseline)" : ""));
      layout[`xaxis${key}`] = { ...axis(colours), domain: [0, 1], anchor: `y${key}`, nticks: 8 };
      layout[`yaxis${key}`] = { ...axis(colours), domain: [Math.max(top - room / inner, 0), top], anchor: `x${key}`, type: "category", categoryorder: "array", categoryarray: names };
      const way = metric.better === null ? "" : `, ${metric.better} is better`;
      layout.annotations.push(title(`<b>${short(metric.name)}</b>${way}`, 0, top, colours));
      const alone = shown.flatMap((one, row) => one.value.values.map((value) => ({ value, name: names[row] })));
      traces.push({ x: alone.map((one) => one.value), y: alone.map((one) => one.name), mode: "markers", marker: { size: 4, color: colours.dim, opacity: 0.5 }, hoverinfo: "x", xaxis: `x${key}`, yaxis: `y${key}` });
      const colours_ = shown.map((one) => colour[one.difference?.verdict] ?? colours.accent);
      shown.forEach((one, row) => {
        const banded = one.value.low !== null;
        traces.push({ x: [one.value.mean], y: [names[row]], mode: "markers", marker: { size: 9, color: colours_[row], symbol: banded ? "circle" : "circle-open" }, error_x: banded ? { type: "data", symmetric: false, array: [one.value.high - one.value.mean], arrayminus: [one.value.mean - one.value.low], color: colours_[row], thickness: 1.8, width: 5 } : undefined, text: [plain(one.value.said) + (one.difference ? `<br>${plain(one.difference.said)}` : "")], hoverinfo: "text", xaxis: `x${key}`, yaxis: `y${key}` });
      });
    });
    return { traces, layout };
  }

  async function draw(place, again) {
    const [address, figure] = place.dataset.curves ? [place.dataset.curves, curves] : [place.dataset.comparison, comparison];
    let text;
    try {
      const answer = await fetch(address, { cache: "no-store" });
      if (!answer.ok) return;
      text = await answer.text();
    } catch { return; }
    if (!again && drawn.get(place) === text) return;
    const found = JSON.parse(text);
    if (Array.isArray(found) ? !found.length : !found.metrics.length) return;
    if (!drawn.has(place)) place.replaceChildren();
    drawn.set(place, text);
    const { traces, layout } = figure(found, palette());
    await Plotly.react(place, traces, { ...layout, uirevision: "kept" }, { displayModeBar: false, responsive: true, scrollZoom: false });
  }

  const all = (again) => document.querySelectorAll("[data-curves], [data-comparison]").forEach((place) => draw(place, again));
  document.addEventListener("kept:fresh", () => all(false));
  night.addEventListener("change", () => all(true));
  all(true);
})();
