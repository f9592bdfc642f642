// One algorithm: what it takes, its own cap, and a form to try it.
import { html, useState } from "./preact.js";
import { ask, part } from "./api.js";
import { attempt, useRefused } from "./action.js";
import { AlgorithmCap } from "./cap.js";
import { Fields, bodyOf } from "./form.js";
import { isRefused, useLive } from "./live.js";
import { Facts, JobLink, Notice, Panel, Status } from "./parts.js";
import { json, megabytes, seconds } from "./words.js";

const LEAST_MS = 5000;
const CONTROL = "submit";

export function AlgorithmPage({ name }) {
  const seen = useLive(`algorithms/${encodeURIComponent(name)}`, LEAST_MS);
  const slots = useLive("jobs/concurrency");
  const own = slots.data?.algorithms[name];
  const one = seen.data;
  return html`
    <p><a href="#/algorithms">All algorithms</a></p>
    <${Notice} seen=${seen} what="the algorithm" />
    ${one && html`
      <${Panel} title=${one.name} id="algorithm-title">
        <p class="description">${unwrapped(one.description)}</p>
        <${Facts} of=${[
          ["version", one.version], ["runs as", one.executor], ["served", one.served ? "yes" : "by no worker now"],
          ["timeout", one.timeout && seconds(one.timeout)], ["attempts", one.max_attempts],
          ["memory", one.memory_mb && megabytes(one.memory_mb)], ["CPU time", one.cpu_seconds && seconds(one.cpu_seconds)],
          ["running", own?.running], ["waiting", own?.pending],
        ]} />
        ${own && html`<${AlgorithmCap} name=${name} own=${own} />`}
        ${isRefused(slots) && html`<${Notice} seen=${slots} what="what runs and waits of it, and its cap" />`}
      <//>
      <${Trial} one=${one} />
      <${Panel} title="Schemas" id="schemas-title">
        <details><summary>Parameters</summary><pre tabindex="0">${json(one.parameters)}</pre></details>
        <details><summary>Result</summary><pre tabindex="0">${json(one.result)}</pre></details>
      <//>`}`;
}

// A docstring is cut into lines; only its empty ones mean something.
function unwrapped(text) {
  return text.replace(/([^\n])\n(?=[^\n])/g, "$1 ");
}

function Trial({ one }) {
  const [job, set] = useState(null);
  const [problem, fail] = useState(null);
  const refused = useRefused(CONTROL);
  const submitted = async (event) => {
    event.preventDefault();
    fail(null);
    set(null);
    try {
      const body = bodyOf(one, new FormData(event.target));
      set(await attempt(CONTROL, () => ask("POST", "jobs", body)));
    } catch (failed) {
      fail(failed);
    }
  };
  return html`
    <${Panel} title="Try it" id="trial-title">
      <form class="stack" onSubmit=${submitted} noValidate>
        <${Fields} one=${one} errors=${problem?.errors ?? []} />
        <p class="actions"><button class="primary" disabled=${refused !== null}>Submit a job</button></p>
      </form>
      <div role="status">
        ${(refused ?? problem?.message) && html`<p class="bad">${refused ?? problem.message}</p>`}
        ${job && html`<${Outcome} id=${job.job_id} />`}
      </div>
    <//>`;
}

function Outcome({ id }) {
  const { data: job } = useLive(`jobs/${part(id)}`);
  return html`
    <p>Job <${JobLink} id=${id} /> ${job && html`<${Status} job=${job} />`}</p>
    ${job?.status === "completed" && html`<pre tabindex="0">${json(job.result)}</pre>`}
    ${job?.error && html`<p class="bad">${job.error.type}: ${job.error.message}</p>`}`;
}
