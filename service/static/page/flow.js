// The flow: what came and ended, what waited and for how long, over time, with the changes of the cap.
import { html, useMemo } from "./preact.js";
import { Chart } from "./chart.js";
import { isRefused } from "./live.js";
import { Notice, Panel } from "./parts.js";
import { clock, count, plural, seconds } from "./words.js";
import { to } from "./route.js";

const WINDOWS = [["900", "15 min"], ["3600", "1 h"], ["21600", "6 h"], ["86400", "24 h"]];

export function Flow({ seen, window }) {
  const stats = seen.data;
  const drawn = useMemo(() => stats && columns(stats), [stats]);
  const choose = !isRefused(seen) && html`
    <nav class="choice" aria-label="Window">
      ${WINDOWS.map(([value, text]) => html`
        <a key=${value} href=${to([], { window: value })} aria-current=${value === window ? "true" : null}>${text}</a>`)}
    </nav>`;
  return html`
    <${Panel} title="Flow" id="flow-title" className="flow" aside=${choose}>
      <${Notice} seen=${seen} what="the flow" />
      ${stats && html`
        <p class="quiet">${summary(stats.totals)}</p>
        ${drawn.times.length ? html`<${Charts} drawn=${drawn} totals=${stats.totals} />`
          : html`<p class="notice quiet">Nothing was sampled yet; the first point comes within 15 seconds.</p>`}
        ${stats.covered_since && html`
          <p class="quiet">Kept since ${clock(stats.covered_since)}; points are 15 s apart, or a multiple.</p>`}`}
    <//>`;
}

function Charts({ drawn, totals }) {
  const { times, marks } = drawn;
  return html`
    <${Chart} title="Jobs a minute" say=${rate} times=${times} marks=${marks} series=${drawn.rates}
      summary=${`Jobs a minute over time. In all ${summary(totals)}`} />
    <${Chart} title="Waiting and running" say=${count} times=${times} marks=${marks} series=${drawn.levels}
      summary=${`Jobs that waited and ran over time, and the cap. Now ${count(drawn.levels[0].values.at(-1))} wait`} />
    <${Chart} title="For how long jobs waited" say=${seconds} least=${0.01} times=${times} marks=${marks} series=${drawn.waits}
      summary=${`For how long jobs waited, over time. In all ${summary(totals)}`} />`;
}

function rate(value) {
  return value >= 10 || value === 0 ? count(Math.round(value)) : value.toFixed(1);
}

function summary(totals) {
  const waited = totals.wait_p50_seconds === null ? ""
    : `; half waited less than ${seconds(totals.wait_p50_seconds)}, 95 % less than ${seconds(totals.wait_p95_seconds)}`;
  const failed = totals.failed ? `${count(totals.failed)} failed` : "none failed";
  const ends = `${count(totals.completed)} completed, ${failed}, ${count(totals.cancelled)} cancelled`;
  return `${plural(totals.arrivals, "arrival")}, ${ends}${waited}.`;
}

function columns({ points, cap_changes: changes }) {
  const of = (pick) => points.map(pick);
  const minute = (name) => of((point) => (point[name] / point.seconds) * 60);
  return {
    times: of((point) => Date.parse(point.at) / 1000),
    marks: changes.filter((one) => one.scope === "fleet")
      .map((one) => ({ at: Date.parse(one.at) / 1000, text: `cap ${count(one.to)}` })),
    rates: [
      { name: "arrivals", colour: "--info", values: minute("arrivals") },
      { name: "completed", colour: "--good", values: minute("completed") },
      { name: "failed", colour: "--bad", values: minute("failed") },
    ],
    levels: [
      { name: "waiting", colour: "--warn", values: of((point) => point.waiting) },
      { name: "running", colour: "--good", values: of((point) => point.running) },
      { name: "cap", colour: "--mark", values: of((point) => point.max_concurrent), dash: [2, 3], stepped: true },
    ],
    waits: [
      { name: "p50", colour: "--info", values: of((point) => point.wait_p50_seconds) },
      { name: "p95", colour: "--warn", values: of((point) => point.wait_p95_seconds) },
      { name: "oldest", colour: "--bad", values: of((point) => point.oldest_pending_seconds ?? null), dash: [4, 3] },
    ],
  };
}
