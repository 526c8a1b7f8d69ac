// Draws an endpoint's life over event time: what happened, performance by window, detectors against their budgets.
"use strict";
(() => {
  const LANES = ["roll back", "promote", "release", "retrain", "alarm"];
  const night = matchMedia("(prefers-color-scheme: dark)");
  const drawn = new WeakMap();

  function palette() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    return Object.fromEntries(["text", "dim", "line", "panel", "soft", "accent", "ok", "warn", "bad", "second"].map((name) => [name, colour(name)]));
  }

  // Names come from users: Plotly reads a little markup in texts, so its signs are taken away.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const wrapped = (text) => (plain(text).match(/.{1,70}(\s|$)|.{1,70}/g) || []).join("<br>");
  const translucent = (hex, part) => {
    const value = parseInt(hex.slice(1), 16);
    return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${part})`;
  };
  const number = (value) => (value === null ? "–" : Number(value).toPrecision(4));

  function metricTraces(series, axis, colours) {
    const times = series.points.map((point) => point.time);
    const banded = series.points.filter((point) => point.low !== null && point.high !== null);
    const says = (point) => `${plain(series.name)} ${number(point.value)}` +
      (point.low === null ? "" : ` (${number(point.low)} to ${number(point.high)})`) +
      `<br>version ${point.version ?? "?"}, ${point.rows.toLocaleString("en")} rows`;
    const common = { xaxis: "x", yaxis: axis, showlegend: false };
    return [
      { ...common, x: [...banded.map((point) => point.time), ...banded.map((point) => point.time).reverse()], y: [...banded.map((point) => point.high), ...banded.map((point) => point.low).reverse()], fill: "toself", fillcolor: translucent(colours.accent, 0.13), line: { width: 0 }, mode: "lines", hoverinfo: "skip" },
      { ...common, x: series.others.map((point) => point.time), y: series.others.map((point) => point.value), mode: "markers", marker: { size: 5, color: "rgba(0,0,0,0)", line: { color: colours.second, width: 1.2 } }, text: series.others.map(says), hoverinfo: "text+x" },
      { ...common, x: times, y: series.points.map((point) => point.value), mode: "lines+markers", line: { color: colours.accent, width: 1.6 }, marker: { size: 5, color: series.points.map((point) => (point.holds === false ? colours.bad : colours.accent)) }, text: series.points.map(says), hoverinfo: "text+x" },
    ];
  }

  function figure(data, colours) {
    const panels = data.metrics.length + (data.detectors.length ? 1 : 0);
    // In pixels, so that lanes and titles have room whatever the number of panels.
    const top = 4, bottom = 36, lanes = 88, room = 132, space = 30;
    const inner = lanes + panels * (room + space);
    const strip = lanes / inner, gap = space / inner, height = room / inner;
    const axisStyle = { gridcolor: colours.soft, zerolinecolor: colours.line, linecolor: colours.line, tickfont: { color: colours.dim, size: 11 }, fixedrange: true, automargin: false };
    const laneColour = { alarm: colours.bad, retrain: colours.accent, release: colours.second, promote: colours.ok, "roll back": colours.warn };
    const symbol = { alarm: "triangle-up", retrain: "circle", release: "diamond", promote: "star", "roll back": "x" };
    const traces = [], shapes = [], notes = [];
    const layout = {
      height: inner + top + bottom, margin: { l: 74, r: 14, t: top, b: bottom }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 12, color: colours.text }, hoverlabel: { bgcolor: colours.panel, bordercolor: colours.line, font: { color: colours.text, size: 12 }, align: "left" },
      hovermode: "closest", dragmode: "pan", shapes, annotations: notes,
      xaxis: { ...axisStyle, type: "date", fixedrange: false, anchor: panels ? `y${panels + 1}` : "y", showgrid: true, hoverformat: "%Y-%m-%d %H:%M" },
      yaxis: { ...axisStyle, domain: [1 - strip, 1], type: "category", categoryarray: LANES, categoryorder: "array", range: [-0.6, LANES.length - 0.4], tickvals: LANES, showgrid: true },
    };
    for (const lane of LANES) {
      const events = data.events.filter((event) => event.lane === lane);
      traces.push({ x: events.map((event) => event.time), y: events.map(() => lane), mode: "markers", marker: { size: 9, symbol: symbol[lane], color: laneColour[lane] }, text: events.map((event) => `<b>${lane}</b>${event.version === null ? "" : ` of version ${event.version}`}<br>${wrapped(event.what)}`), hoverinfo: "text+x", showlegend: false, xaxis: "x", yaxis: "y" });
      for (const event of events) shapes.push({ type: "line", xref: "x", yref: "paper", x0: event.time, x1: event.time, y0: 0, y1: 1, layer: "below", line: { color: translucent(laneColour[lane], 0.33), width: 1, dash: lane === "alarm" ? "dot" : "solid" } });
    }
    const title = (text, y) => notes.push({ xref: "paper", yref: "paper", x: 0, y, xanchor: "left", yanchor: "bottom", text, showarrow: false, font: { size: 12, color: colours.dim } });
    data.metrics.forEach((series, place) => {
      const upper = 1 - strip - gap - place * (height + gap), key = `y${place + 2}`;
      const values = [...series.points.map((point) => point.value), ...(series.bound === null ? [] : [series.bound])];
      const low = Math.min(...values), high = Math.max(...values), margin = (high - low || 0.1) * 0.18;
      layout[`yaxis${place + 2}`] = { ...axisStyle, domain: [Math.max(upper - height, 0), upper], anchor: "x", range: [low - margin, high + margin], nticks: 5 };
      traces.push(...metricTraces(series, key, colours));
      let words = `<b>${plain(series.name)}</b> by window, with 95% intervals`;
      if (series.bound !== null) {
        words += `; promised ${series.direction === "at_least" ? "≥" : "≤"} ${series.bound}`;
        shapes.push({ type: "line", xref: "paper", yref: key, x0: 0, x1: 1, y0: series.bound, y1: series.bound, line: { color: colours.bad, width: 1.2, dash: "dash" } });
      }
      title(words, upper);
    });
    if (data.detectors.length) {
      const upper = 1 - strip - gap - data.metrics.length * (height + gap), key = `y${data.metrics.length + 2}`;
      // Evidence grows by powers: a logarithmic scale, cut where nothing more is to be told.
      layout[`yaxis${data.metrics.length + 2}`] = { ...axisStyle, domain: [Math.max(upper - height, 0), upper], anchor: "x", type: "log", range: [-4, 1], tickvals: [1e-4, 1e-3, 1e-2, 0.1, 1, 10], ticktext: ["0.01%", "0.1%", "1%", "10%", "100%", "≥ 10×"] };
      data.detectors.forEach((one, place) => traces.push({ x: one.times, y: one.shares.map((share) => Math.min(Math.max(share, 1e-4), 10)), text: one.shares.map((share) => `${plain(one.name)} at ${Number(share).toPrecision(3)} of its budget`), hoverinfo: "text+x", mode: "lines+markers", marker: { size: 3.5, color: place ? colours.second : colours.warn }, line: { width: 1.6, color: place ? colours.second : colours.warn }, showlegend: false, xaxis: "x", yaxis: key }));
      shapes.push({ type: "line", xref: "paper", yref: key, x0: 0, x1: 1, y0: 1, y1: 1, line: { color: colours.bad, width: 1.2, dash: "dash" } });
      const names = data.detectors.map((one, place) => `<span style="color:${place ? colours.second : colours.warn}"><b>${plain(one.name)}</b></span>`).join(" and ");
      title(`${names}: evidence as a share of the false-alarm budget; alarm at 100%`, upper);
    }
    return { traces, layout };
  }

  async function draw(place, again) {
    let text;
    try {
      const answer = await fetch(place.dataset.timeline, { cache: "no-store" });
      if (!answer.ok) return;
      text = await answer.text();
    } catch { return; }
    if (!again && drawn.get(place) === text) return;
    const data = JSON.parse(text);
    if (!data.metrics.length && !data.detectors.length) {
      place.textContent = "The chart begins with the first whole window of traffic: a day, unless project.monitor(window=…) says otherwise.";
      place.classList.add("dim", "waiting");
      return;
    }
    place.classList.remove("dim", "waiting");
    if (!drawn.has(place)) place.replaceChildren();
    drawn.set(place, text);
    const { traces, layout } = figure(data, palette());
    await Plotly.react(place, traces, { ...layout, uirevision: "kept" }, { displayModeBar: false, responsive: true, scrollZoom: false });
  }

  const all = (again) => document.querySelectorAll("[data-timeline]").forEach((place) => draw(place, again));
  let last = 0;
  document.addEventListener("kept:fresh", () => { if (Date.now() - last > 4000) { last = Date.now(); all(false); } });
  night.addEventListener("change", () => all(true));
  all(true);
})();
