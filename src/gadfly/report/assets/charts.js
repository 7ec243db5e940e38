/* Draws the curves with uPlot: a band for each interval, a box with the numbers under the pointer or the arrow keys. */
"use strict";
(() => {
  const holder = document.getElementById("data");
  if (!holder) return;
  const data = JSON.parse(holder.textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const TONES = { wrong: "wrong-mark", right: "right-mark", invalid: "invalid-mark", undecided: "undecided-mark" };
  const tone = (name) => colour(TONES[name] || name);

  const write = (chart, value) => {
    if (value === null || value === undefined) return "no data";
    if (chart.unit === "percent") return `${(100 * value).toFixed(1)}%`;
    return chart.unit === "count" ? Math.round(value).toLocaleString("en") : value.toFixed(2);
  };

  const lineText = (chart, line, i) => {
    const value = line.value[i];
    if (value === null) return [line.name, "no data", ""];
    const low = line.low[i], high = line.high[i];
    const bare = (x) => write(chart, x).replace("%", "");
    const bounds = low === null || high === null ? "" : ` (${bare(low)} to ${bare(high)})`;
    return [line.name, write(chart, value), `${bounds}, n\u00a0=\u00a0${line.n[i].toLocaleString("en")}`];
  };

  const withAlpha = (hex, alpha) => {
    const n = parseInt(hex.slice(1), 16);
    return `rgba(${n >> 16}, ${(n >> 8) & 255}, ${n & 255}, ${alpha})`;
  };

  const draw = (place, chart) => {
    place.replaceChildren();
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    const spoken = document.createElement("div");
    spoken.className = "hidden-text";
    spoken.setAttribute("aria-live", "polite");

    const columns = [chart.x], series = [{}], bands = [];
    for (const line of chart.lines) {
      const stroke = tone(line.tone), at = columns.length;
      columns.push(line.value, line.low, line.high);
      const points = { show: chart.x.length <= 60, size: chart.x.length === 1 ? 9 : 5, fill: stroke };
      series.push({ stroke, width: 2, points, spanGaps: false });
      const edge = { stroke: "transparent", width: 0, points: { show: false }, spanGaps: false };
      series.push(edge, { ...edge });
      bands.push({ series: [at + 2, at + 1], fill: withAlpha(stroke, 0.14) });
    }

    const numbers = chart.lines.flatMap((line) => [...line.value, ...line.low, ...line.high]).filter((y) => y !== null);
    const most = Math.max(...numbers, 0), least = Math.min(...numbers, 0);
    const pad = (most - least || 1) * 0.06;
    const range = chart.unit === "percent" ? [0, Math.min(1, most + pad) || 1] : [least < 0 ? least - pad : 0, most + pad];
    const axis = { stroke: colour("ink-3"), font: "12px 'Inter Variable', system-ui, sans-serif", labelFont: "12px 'Inter Variable', system-ui, sans-serif", labelSize: 24, ticks: { show: false } };

    const show = (plot) => {
      const i = plot.cursor.idx;
      if (i === null || i === undefined || plot.cursor.left < 0) { tip.hidden = true; return; }
      const head = document.createElement("b");
      head.textContent = chart.places[i];
      const rows = chart.lines.map((line) => {
        const [name, value, rest] = lineText(chart, line, i);
        const row = document.createElement("div"), dot = document.createElement("i"), faint = document.createElement("span");
        row.className = `t-${line.tone}`;
        faint.className = "faint";
        faint.textContent = rest;
        row.append(dot, `${name} ${value}`, faint);
        return row;
      });
      tip.replaceChildren(head, ...rows);
      tip.hidden = false;
      const left = plot.over.offsetLeft + plot.cursor.left, room = place.clientWidth;
      tip.style.left = `${Math.max(0, left + 14 + tip.offsetWidth > room ? left - tip.offsetWidth - 14 : left + 14)}px`;
      tip.style.top = "8px";
      if (place.contains(document.activeElement)) spoken.textContent = tip.innerText;
    };

    const plot = new uPlot({
      width: Math.max(place.clientWidth, 200),
      height: 280,
      padding: [12, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { time: false, range: chart.x.length > 1 ? undefined : [chart.x[0] - 1, chart.x[0] + 1] }, y: { range } },
      axes: [
        { ...axis, label: chart.xName, size: 28, grid: { show: false } },
        { ...axis, label: chart.yName, size: 48, grid: { stroke: colour("line"), width: 1 }, values: (_, ticks) => ticks.map((y) => (chart.unit === "percent" ? `${Math.round(100 * y)}%` : y.toLocaleString("en"))) },
      ],
      series,
      bands,
      hooks: { setCursor: [show] },
    }, columns, place);
    place.append(tip, spoken);
    return plot;
  };

  for (const place of document.querySelectorAll("[data-chart]")) {
    const chart = data[place.dataset.chart];
    let plot = draw(place, chart);
    let at = -1;
    const redraw = () => { plot.destroy(); plot = draw(place, chart); };
    document.addEventListener("themechange", redraw);
    new ResizeObserver(() => {
      if (Math.abs(plot.width - place.clientWidth) > 1) plot.setSize({ width: Math.max(place.clientWidth, 200), height: 280 });
    }).observe(place);
    place.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      at = Math.min(chart.x.length - 1, Math.max(0, at + step));
      plot.setCursor({ left: plot.valToPos(chart.x[at], "x"), top: 10 });
    });
    place.addEventListener("blur", () => plot.setCursor({ left: -10, top: -10 }));
  }
})();
