// Where a job's time went: waiting, each attempt, and what was done to end it.
import { html } from "./preact.js";
import { Time } from "./parts.js";
import { megabytes, seconds } from "./words.js";

export function Timeline({ job, attempts }) {
  const steps = stepsOf(job, attempts);
  return html`
    <${Bar} spans=${spansOf(job, attempts)} />
    <ol class="timeline">
      ${steps.map(({ at, text, more }) => html`
        <li key=${at + text}>
          <${Time} time=${at} /> <span>${text}</span>
          <span class="quiet"> ${[after(job.created_at, at), more].filter(Boolean).join(", ")}</span>
        </li>`)}
    </ol>`;
}

function after(began, at) {
  return at === began ? "" : `after ${seconds((Date.parse(at) - Date.parse(began)) / 1000)}`;
}

function stepsOf(job, attempts) {
  const steps = [{ at: job.created_at, text: "made" }];
  if (job.scheduled_for) steps.push({ at: job.scheduled_for, text: "due" });
  attempts.forEach((attempt, number) => {
    steps.push({ at: attempt.started_at, text: `attempt ${number + 1} began`, more: placeOf(attempt) });
    for (const kill of attempt.kill_steps) steps.push({ at: kill.at, text: kill.step });
    steps.push({ at: attempt.ended_at, text: `attempt ${number + 1} ended: ${attempt.outcome}`, more: used(attempt.usage) });
  });
  const open = job.started_at && !attempts.some((attempt) => attempt.started_at === job.started_at);
  if (open) steps.push({ at: job.started_at, text: `attempt ${attempts.length + 1} began`, more: placeOf(job) });
  if (job.completed_at) steps.push({ at: job.completed_at, text: job.status });
  return steps.filter((step) => step.at).sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
}

function placeOf({ worker }) {
  return worker && `on ${worker}`;
}

function used(usage) {
  if (!usage) return null;
  const cpu = usage.cpu_seconds === null ? null : `${seconds(usage.cpu_seconds)} of CPU`;
  return [cpu, usage.peak_memory_mb && megabytes(usage.peak_memory_mb)].filter(Boolean).join(", ");
}

// Waiting and running, one after the other, from when the job was made until its end, or until now.
function spansOf(job, attempts) {
  const at = (time) => Date.parse(time);
  const runs = attempts.map((each) => [at(each.started_at), at(each.ended_at)]);
  const until = job.completed_at ? at(job.completed_at) : Date.now();
  if (job.started_at && !runs.some(([began]) => began === at(job.started_at))) runs.push([at(job.started_at), until]);
  const spans = [];
  let last = at(job.created_at);
  for (const [began, ended] of runs) {
    spans.push({ kind: "waits", ms: Math.max(0, began - last) }, { kind: "runs", ms: Math.max(0, ended - began) });
    last = Math.max(last, ended);
  }
  if (until > last) spans.push({ kind: "waits", ms: until - last });
  return spans.filter((span) => span.ms > 0);
}

function Bar({ spans }) {
  const told = spans.map(({ kind, ms }) => `${kind} ${seconds(ms / 1000)}`).join(", ");
  return html`
    <div class="spans" role="img" aria-label=${told || "nothing has happened yet"}>
      ${spans.map(({ kind, ms }, at) => html`
        <span key=${at} class=${kind} style=${{ flexGrow: ms }} title=${`${kind} ${seconds(ms / 1000)}`}></span>`)}
    </div>
    <p class="quiet legend" aria-hidden="true"><span class="waits"></span> waits <span class="runs"></span> runs</p>`;
}
