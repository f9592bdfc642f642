// The fleet: who is there, what each runs, and whether it takes more.
import { html } from "./preact.js";
import { ask } from "./api.js";
import { Action } from "./action.js";
import { useLive } from "./live.js";
import { Facts, Notice, Panel } from "./parts.js";
import { count, megabytes, plural, seconds } from "./words.js";

const SILENT_SECONDS = 10; // a lease is renewed every quarter of itself, 2.5 s as it comes

export function Workers() {
  const seen = useLive("workers");
  const workers = seen.data?.workers ?? [];
  return html`
    <${Panel} title="Workers" id="workers-title">
      <${Notice} seen=${seen} what="the workers" />
      ${seen.data && !workers.length && html`
        <p class="notice bad">No worker is there. Start one: <code>arq worker.settings.WorkerSettings</code></p>`}
      <ul class="cards">${workers.map((worker) => html`<${One} key=${worker.name} worker=${worker} />`)}</ul>
    <//>`;
}

async function told(name, what) {
  await ask("POST", `workers/${encodeURIComponent(name)}/${what}`);
  return null;
}

function One({ worker }) {
  const silent = worker.last_seen_seconds !== null && worker.last_seen_seconds > SILENT_SECONDS;
  const what = worker.draining ? "resume" : "drain";
  return html`
    <li class="card">
      <h3>${worker.name} ${worker.draining && html`<span class="status cancelled">drained</span>`}
        ${silent && html`<span class="status failed">silent</span>`}</h3>
      <${Facts} of=${[
        ["host", worker.host], ["version", worker.version],
        ["slots", worker.slots === null ? "as the cap" : count(worker.slots)],
        ["running", count(worker.running)],
        ["last seen", `${seconds(worker.last_seen_seconds)} ago`],
        ["cores", worker.cores], ["memory", megabytes(worker.memory_mb)],
        ["free when it began", megabytes(worker.memory_free_mb)],
      ]} />
      <details><summary>serves ${plural(worker.algorithms.length, "algorithm")}</summary>
        <p class="quiet algorithms">${worker.algorithms.join(", ")}</p></details>
      <${Action} control="drain" label=${worker.draining ? "Resume" : "Drain"}
        act=${() => told(worker.name, what)} />
    </li>`;
}
