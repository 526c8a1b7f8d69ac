// Draws what each input added to a prediction: bars to the right for what adds, to the left for what takes away.
"use strict";
(() => {
  const night = matchMedia("(prefers-color-scheme: dark)");
  const MOST = 30;

  function palette() {
    const style = getComputedStyle(document.documentElement);
    return Object.fromEntries(["text", "dim", "line", "panel", "soft", "ok", "bad"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  // Names and values come from users: Plotly reads a little markup in texts, so its signs are taken away.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const short = (text) => { const said = String(text ?? "–"); return said.length > 28 ? `${said.slice(0, 27)}…` : said; };
  const number = (value) => Number(value).toPrecision(4);

  function draw(place, output) {
    const colours = palette();
    const inputs = [...output.inputs].sort((one, other) => Math.abs(one.adds) - Math.abs(other.adds)).slice(-MOST);
    const labels = inputs.map((one) => `${plain(short(one.name))} = ${plain(short(one.value))}`);
    const says = inputs.map((one) => `${plain(one.name)} = ${plain(one.value ?? "missing")}<br>adds ${number(one.adds)}` + (one.half_width === null ? "" : ` ± ${number(one.half_width)}`));
    const bars = {
      type: "bar", orientation: "h", x: inputs.map((one) => one.adds), y: inputs.map((_, row) => row), text: says, hoverinfo: "text", textposition: "none",
      marker: { color: inputs.map((one) => (one.adds < 0 ? colours.bad : colours.ok)) },
      error_x: { type: "data", array: inputs.map((one) => one.half_width ?? 0), visible: inputs.some((one) => one.half_width !== null), color: colours.dim, thickness: 1, width: 3 },
    };
    const axis = { gridcolor: colours.soft, zerolinecolor: colours.line, linecolor: colours.line, tickfont: { color: colours.dim, size: 11 }, fixedrange: true };
    const layout = {
      height: 54 + 22 * inputs.length, margin: { l: 10, r: 14, t: 26, b: 28 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", bargap: 0.25, showlegend: false,
      font: { family: "system-ui, sans-serif", size: 12, color: colours.text }, hoverlabel: { bgcolor: colours.panel, bordercolor: colours.line, font: { color: colours.text, size: 12 }, align: "left" },
      title: { text: `${output.name === null ? "" : `${plain(output.name)}: `}${number(output.sum)} = ${number(output.base)} + the contributions`, font: { size: 12, color: colours.dim }, x: 0, xanchor: "left" },
      xaxis: axis, yaxis: { ...axis, automargin: true, tickvals: labels.map((_, row) => row), ticktext: labels, range: [-0.6, inputs.length - 0.4] },
    };
    Plotly.react(place, [bars], layout, { displayModeBar: false, responsive: true });
  }

  async function explain(place) {
    let data;
    try {
      const answer = await fetch(place.dataset.explanation);
      if (!answer.ok) throw new Error(String(answer.status));
      data = await answer.json();
    } catch {
      place.textContent = "The explanation could not be fetched.";
      return;
    }
    place.textContent = data.error ?? `On the scale of the ${data.meaning}. ${data.how}`;
    let last = place;
    for (const output of data.outputs ?? []) {
      const chart = document.createElement("div");
      last.after(chart);
      last = chart;
      draw(chart, output);
      night.addEventListener("change", () => draw(chart, output));
    }
  }

  document.querySelectorAll("[data-explanation]").forEach(explain);
})();
