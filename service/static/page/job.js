// A job's own page: what it is, where its time went, what it says, what it came to; and what can be done to it.
import { html, useState } from "./preact.js";
import { ask, open, part, problemOf } from "./api.js";
import { Action } from "./action.js";
import { useLive } from "./live.js";
import { JobLink, Facts, Labels, Notice, Panel, Status, Time } from "./parts.js";
import { count, json, megabytes, plural, seconds } from "./words.js";
import { to } from "./route.js";
import { Log, useStory } from "./log.js";
import { Timeline } from "./timeline.js";
import { Webhooks } from "./webhooks.js";

const LEAST_MS = 400;
const SLOTS_MS = 2000;
const ENDED = new Set(["completed", "failed", "cancelled"]);
const SHOWN_CHARS = 20_000; // of parameters and a result: more is a file, not a page

export function JobPage({ name: id }) {
  const path = `jobs/${part(id)}`;
  const seen = useLive(path, LEAST_MS);
  const job = seen.data;
  const story = useStory(path, job !== null && ENDED.has(job.status));
  const explain = useLive(job ? `${path}/explain` : null, LEAST_MS).data;
  return html`
    <p><a href="#/jobs">All jobs</a></p>
    <${Notice} seen=${seen} what="the job" />
    ${job && html`
      <${Head} job=${job} path=${path} progress=${story.progress} explain=${explain} />
      <div class="columns">
        <${Panel} title="Timeline" id="timeline-title">
          <${Timeline} job=${job} attempts=${explain?.attempts ?? []} />
        <//>
        <${Panel} title="Log" id="log-title"><${Log} story=${story} path=${path} /><//>
      </div>
      <div class="columns">
        <${Panel} title="Parameters" id="params-title"><${Value} of=${job.params} /><//>
        ${job.status === "completed" && html`<${Panel} title="Result" id="result-title"><${Value} of=${job.result} /><//>`}
        ${job.error && html`<${Panel} title="Error" id="error-title">
          <p class="bad"><strong>${job.error.type}</strong>: ${job.error.message}</p>
          ${job.error.detail && html`<pre tabindex="0">${job.error.detail}</pre>`}
        <//>`}
      </div>
      ${job.webhook && html`<${Webhooks} path=${path} url=${job.webhook} />`}`}`;
}

// In MB, now: the slots' own view has it, for those who may see that.
function useMemory({ job_id: id, status }) {
  const slots = useLive(status === "running" ? "jobs/concurrency" : null, SLOTS_MS).data;
  return slots?.jobs.find((one) => one.job_id === id)?.memory_mb ?? null;
}

function Head({ job, path, progress, explain }) {
  const memory = useMemory(job);
  const ended = ENDED.has(job.status);
  const told = progress ?? (job.progress === null ? null : { percent: job.progress, message: job.message });
  const again = job.status === "failed" || job.status === "cancelled";
  return html`
    <${Panel} title=${`${job.algorithm ?? "Job"} ${job.job_id}`} id="job-title" aside=${html`<${Status} job=${job} />`}>
      ${told && !ended && html`<p class="progress"><progress max="100" value=${told.percent} aria-label="progress"></progress>
        ${Math.round(told.percent)} % ${told.message}</p>`}
      ${explain && !ended && html`<${Why} explain=${explain} />`}
      <${Facts} of=${[
        ["attempt", `${count(job.attempt)}${job.max_attempts ? ` of ${count(job.max_attempts)}` : ""}`],
        ["worker", job.worker], ["priority", job.priority || null], ["timeout", job.timeout && seconds(job.timeout)],
        ["waited", job.wait_seconds === null ? null : seconds(job.wait_seconds)],
        ["ran", job.run_seconds === null ? null : seconds(job.run_seconds)],
        ["CPU time", job.usage?.cpu_seconds == null ? null : seconds(job.usage.cpu_seconds)],
        ["memory now", memory === null ? null : megabytes(memory)],
        ["peak memory", job.usage?.peak_memory_mb == null ? null : megabytes(job.usage.peak_memory_mb)],
        ["heartbeat", job.heartbeat_at && html`<${Time} time=${job.heartbeat_at} />`],
        ["kept until", job.expires_at && html`<${Time} time=${job.expires_at} />`],
        ["labels", Object.keys(job.labels).length ? html`<${Labels} of=${job.labels} />` : null],
      ]} />
      <p class="actions">
        ${!ended && html`<${Cancel} job=${job} path=${path} />`}
        ${again && html`<${Action} control="retry" label="Retry"
          act=${async () => { await ask("POST", `${path}/retry`); return null; }} />`}
        <a href=${to(["jobs"], { algorithm: job.algorithm })}>Jobs of ${job.algorithm}</a>
      </p>
    <//>`;
}

function Cancel({ job, path }) {
  const running = job.status === "running";
  const prepare = async () => ({
    title: "Cancel the job", yes: "Cancel it", danger: true,
    text: running ? "It runs: it will be told to end, and what it did so far is lost." : "It waits, and will not start.",
  });
  const act = async () => {
    const response = await open(`${path}/cancel`, { method: "POST" });
    if (!response.ok) throw await problemOf(response);
    return response.status === 202 ? "It was told to end." : null;
  };
  return html`<${Action} control="cancel" label="Cancel…" className="danger" prepare=${prepare} act=${act} />`;
}

// Why it waits, in the words of `explain`; where it runs.
function Why({ explain }) {
  if (explain.status !== "pending") return html`<p>${explain.text}</p>`;
  const { position, eta_seconds: eta, holders, blocking } = explain;
  return html`
    <p><strong>${explain.text}</strong> ${position !== null && `It is number ${count(position)} in line`}${
      eta ? `, and starts in about ${seconds(eta.p50)}, at most ${seconds(eta.p90)} nine times in ten (estimates).` : "."}</p>
    ${blocking && html`<p class="quiet">What holds it: ${blocking.replaceAll("_", " ")}.</p>`}
    ${holders.length > 0 && html`<p class="ids">${plural(holders.length, "job")} ahead of it in the slots: ${
      holders.slice(0, 20).map((id) => html`<span key=${id}><${JobLink} id=${id} /> </span>`)}</p>`}`;
}

function Value({ of }) {
  const [whole, show] = useState(false);
  const text = json(of) ?? "";
  const cut = !whole && text.length > SHOWN_CHARS;
  return html`
    <pre tabindex="0">${cut ? text.slice(0, SHOWN_CHARS) : text}</pre>
    ${cut && html`<button type="button" onClick=${() => show(true)}>Show all ${count(text.length)} characters</button>`}`;
}
