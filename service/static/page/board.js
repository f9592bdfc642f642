// The slot board: one cell for each slot of the fleet.
import { Component, html, useRef } from "./preact.js";
import { toJob } from "./route.js";
import { seated } from "./seats.js";
import { vacancy } from "./vacancy.js";
import { clock, megabytes, plural, seconds, short } from "./words.js";

const ROOMY = 40; // up to so many cells each has words in it

export function Board({ slots, usual }) {
  const seats = useRef(new Map());
  const cells = seated(seats.current, slots.jobs, slots.max_concurrent);
  const roomy = cells.length <= ROOMY;
  const reason = vacancy(slots);
  const beyond = Math.max(slots.max_concurrent, slots.running_jobs) - cells.length;
  const empty = cells.filter((job) => job === null).length;
  return html`
    ${slots.max_concurrent === 0 && html`<p class="notice">Paused: the cap is 0, nothing starts.</p>`}
    <ul class=${`cells ${roomy ? "roomy" : "dense"}`} onKeyDown=${moved}
      aria-label=${`${plural(cells.length, "slot")}, arrow keys move between jobs`}>
      ${cells.map((job, cell) => {
        if (job === null) return html`<${Empty} key=${cell} reason=${reason} roomy=${roomy} />`;
        const look = lookOf(job, usual[job.algorithm], cell >= slots.max_concurrent);
        return html`<${roomy ? Taken : Dot} key=${cell} job=${job} usual=${usual[job.algorithm]} look=${look} />`;
      })}
    </ul>
    <p class="quiet">
      ${empty > 0 && slots.max_concurrent > 0 && `${plural(empty, "slot")} empty: ${reason.text}. `}
      ${beyond > 0 && `${plural(beyond, "more slot")} not drawn. `}
      ${slots.jobs_left_out > 0 && `${plural(slots.jobs_left_out, "more job")} running. `}
    </p>`;
}

function Empty({ reason, roomy }) {
  return html`<li class=${`cell empty ${reason.kind}`} title=${`empty: ${reason.text}`}>
    ${roomy ? html`<span>${reason.text}</span>` : html`<span class="unseen">empty</span>`}
  </li>`;
}

function lookOf(job, usual, drains) {
  const age = job.running_seconds ?? 0;
  const p95 = usual?.run_p95_seconds ?? Infinity;
  const late = age > 2 * p95 ? "very-late" : age > p95 ? "late" : "";
  return ["cell taken", late, drains && "drains", job.heartbeat_seconds === null && "orphan"].filter(Boolean).join(" ");
}

function Taken({ job, usual, look }) {
  const age = job.running_seconds ?? 0;
  const p95 = usual?.run_p95_seconds ?? null;
  const part = p95 === null ? 0 : Math.min(1, age / p95);
  return html`
    <li class=${look}>
      <a href=${toJob(job.job_id)} title=${toldOf(job, usual, look)}>
        <span class="what">${job.algorithm ?? "unknown"}</span>
        <strong>${seconds(age)}</strong>
        <span class="bar" aria-hidden="true"><span style=${{ width: `${part * 100}%` }}></span></span>
        <span class="small">${p95 === null ? "no usual time yet" : `p95 ${seconds(p95)}`}</span>
        <span class="small">${memoryOf(usual)}</span>
        <span class="small worker">${job.heartbeat_seconds === null ? "worker lost" : job.worker}</span>
      </a>
    </li>`;
}

// One of hundreds: drawn anew only for another job, or when it comes to look otherwise.
class Dot extends Component {
  shouldComponentUpdate({ job, look }) {
    return job.job_id !== this.props.job.job_id || look !== this.props.look;
  }

  render({ job, usual, look }) {
    const told = toldOf(job, usual, look);
    return html`<li class=${look}><a href=${toJob(job.job_id)} title=${told} aria-label=${told}></a></li>`;
  }
}

function toldOf(job, usual, look) {
  const began = new Date(Date.now() - (job.running_seconds ?? 0) * 1000);
  return [
    job.algorithm ?? "unknown", short(job.job_id), `since ${clock(began)}`,
    usual?.run_p95_seconds == null ? "" : `usually up to ${seconds(usual.run_p95_seconds)}`, job.worker ?? "",
    look.includes("drains") ? "above the cap: runs to its end" : "",
    look.includes("orphan") ? "its worker's lease is gone" : "",
  ].filter(Boolean).join(", ");
}

function memoryOf(usual) {
  const peak = usual?.peak_memory_mb ?? null;
  return peak === null ? "memory not measured" : `peak of late ${megabytes(peak)}`;
}

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

function moved(event) {
  const step = STEPS[event.key];
  if (!step) return;
  const links = [...event.currentTarget.querySelectorAll("a")];
  const next = links[links.indexOf(document.activeElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
