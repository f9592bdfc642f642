// One chart over time, drawn by uPlot, with marks where the cap changed.
import { html, useEffect, useRef } from "./preact.js";

// It is large: what is shown first is not kept waiting by it.
const library = () => import("./uplot.js").then((module) => module.default);
let turn = Promise.resolve();
const HEIGHT = 150;
const LEAST_SECONDS = 120; // across, of however few points
const DARK = matchMedia("(prefers-color-scheme: dark)");

// `series` are {name, colour, values, dash}; `marks` are {at (s), text}; `say` writes a value; `least` is the least that
// the axis reaches.
export function Chart({ title, summary, times, series, marks, say, least = 1 }) {
  const place = useRef(null);
  const chart = useRef(null);
  const latest = useRef(null);
  latest.current = { shape: { series, say, least }, marks, drawn: [times, ...series.map((each) => each.values)] };

  useEffect(() => {
    let uPlot = null;
    let over = false;
    const draw = () => {
      chart.current?.destroy();
      place.current.replaceChildren();
      const { shape, drawn } = latest.current;
      chart.current = new uPlot(options(uPlot, place.current, shape, latest), drawn, place.current);
    };
    const sized = new ResizeObserver(([entry]) => {
      const width = Math.floor(entry.contentRect.width);
      if (width && chart.current && width !== chart.current.width) chart.current.setSize({ width, height: HEIGHT });
    });
    const turned = () => chart.current && draw();
    DARK.addEventListener("change", turned);
    library().then(async (loaded) => {
      await inTurn();
      if (over) return;
      uPlot = loaded;
      draw();
      sized.observe(place.current);
    });
    return () => {
      over = true;
      sized.disconnect();
      DARK.removeEventListener("change", turned);
      chart.current?.destroy();
      chart.current = null;
    };
  }, []);
  useEffect(() => chart.current?.setData(latest.current.drawn), [times]);

  return html`
    <figure>
      <figcaption>${title}</figcaption>
      <div class="chart" ref=${place} role="img" aria-label=${summary}></div>
    </figure>`;
}

// One chart a frame, and after what else the frame draws: all at once keep the page from its reader for too long.
function inTurn() {
  turn = turn.then(() => new Promise((go) => { requestAnimationFrame(() => setTimeout(go)); }));
  return turn;
}

function when(at, exact) {
  return new Date(at * 1000).toTimeString().slice(0, exact ? 8 : 5);
}

function options(uPlot, place, { series, say, least }, latest) {
  const colour = paint(place);
  const axis = {
    stroke: colour("--quiet"), font: "11px system-ui", ticks: { show: false },
    grid: { stroke: colour("--line"), width: 1 },
  };
  return {
    width: Math.max(200, place.clientWidth),
    height: HEIGHT,
    cursor: { sync: { key: "flow" }, y: false },
    scales: {
      x: { range: (_, from, until) => [Math.min(from, until - LEAST_SECONDS), until] },
      y: { range: (_, __, high) => [0, Math.max(least, high ?? 0) * 1.1] },
    },
    axes: [
      { ...axis, size: 28, values: (_, ticks, __, ___, step) => ticks.map((tick) => when(tick, step < 60)) },
      { ...axis, size: 56, values: (_, ticks) => ticks.map(say) },
    ],
    series: [{ label: "at", value: (_, at) => (at === null ? "–" : when(at, true)) }, ...series.map((each) => ({
      label: each.name, stroke: colour(each.colour), width: 1.5, dash: each.dash, points: { size: 4 },
      paths: each.stepped ? uPlot.paths.stepped({ align: 1 }) : undefined,
      value: (_, value) => (value === null ? "–" : say(value)),
    }))],
    hooks: { draw: [(plot) => mark(plot, latest.current.marks, colour("--mark"))] },
  };
}

// A canvas knows no custom properties: the browser tells what one comes to.
function paint(place) {
  const probe = place.appendChild(document.createElement("span"));
  probe.className = "unseen";
  return (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
}

function mark(plot, marks, colour) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.fillStyle = colour;
  ctx.setLineDash([4, 3]);
  ctx.textAlign = "left";
  ctx.font = `${11 * devicePixelRatio}px system-ui`;
  for (const { at, text } of marks) {
    const x = Math.round(plot.valToPos(at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(text, x + 4, bbox.top + 11 * devicePixelRatio);
  }
  ctx.restore();
}
