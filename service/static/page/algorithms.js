// What jobs can be of.
import { html } from "./preact.js";
import { isRefused, useLive } from "./live.js";
import { Notice, Panel, Table } from "./parts.js";
import { count, seconds } from "./words.js";
import { to } from "./route.js";

const LEAST_MS = 5000;
const COLUMNS = ["algorithm", "what it does", "runs as", "running", "waiting", "own cap", "timeout", "served"];

export function Algorithms() {
  const seen = useLive("algorithms", LEAST_MS);
  const slots = useLive("jobs/concurrency");
  const caps = slots.data?.algorithms ?? {};
  return html`
    <${Panel} title="Algorithms" id="algorithms-title">
      <${Notice} seen=${seen} what="the algorithms" />
      ${isRefused(slots) && html`<${Notice} seen=${slots} what="what runs and waits of each, and their caps" />`}
      ${seen.data && html`
        <${Table} label="Algorithms, by name" columns=${COLUMNS}>
          ${seen.data.algorithms.map((one) => html`<${Row} key=${one.name} one=${one} own=${caps[one.name]} />`)}
        <//>`}
    <//>`;
}

function Row({ one, own }) {
  const jobs = (status, number) => html`<a href=${to(["jobs"], { status, algorithm: one.name })}>${count(number)}</a>`;
  return html`
    <tr>
      <td><a href=${to(["algorithms", one.name])}>${one.name}</a></td>
      <td class="said">${one.description.split("\n")[0]}</td>
      <td>${one.executor}</td>
      <td>${own ? jobs("running", own.running) : "–"}</td>
      <td>${own ? jobs("pending", own.pending) : "–"}</td>
      <td>${count(own?.max_concurrent)}</td>
      <td>${seconds(one.timeout)}</td>
      <td>${one.served ? "yes" : html`<span class="bad">no worker</span>`}</td>
    </tr>`;
}
