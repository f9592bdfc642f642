// The slot board: one cell for each slot of the fleet.
import { Component, html, useRef } from "./preact.js";
import { toJob } from "./route.js";
import { SOMEBODYS, seated } from "./seats.js";
import { vacancy } from "./vacancy.js";
import { clock, megabytes, plural, seconds, short } from "./words.js";

const ROOMY = 40; // up to so many cells each has words in it

export function Board({ slots, usual }) {
  const seats = useRef(new Map());
  const cells = seated(seats.current, slots.jobs, slots.jobs_left_out, slots.max_concurrent);
  const roomy = cells.length <= ROOMY;
  const reason = vacancy(slots);
  const beyond = Math.max(slots.max_concurrent, slots.running_jobs) - cells.length;
  const empty = cells.filter((job) => job === null).length;
  const others = cells.filter((job) => job === SOMEBODYS).length;
  return html`
    ${slots.max_concurrent === 0 && html`<p class="notice">Paused: the cap is 0, nothing starts.</p>`}
    <ul class=${`cells ${roomy ? "roomy" : "dense"}`} onKeyDown=${moved}
      aria-label=${`${plural(cells.length, "slot")}, arrow keys move between jobs`}>
      ${cells.map((job, cell) => {
        if (job === null) return html`<${Empty} key=${cell} reason=${reason} roomy=${roomy} />`;
        if (job === SOMEBODYS) return html`<${Others} key=${cell} roomy=${roomy} />`;
        const known = usual && (usual[job.algorithm] ?? {});
        const look = lookOf(job, known, cell >= slots.max_concurrent);
        return html`<${roomy ? Taken : Dot} key=${cell} job=${job} usual=${known} look=${look} />`;
      })}
    </ul>
    <p class="quiet">
      ${empty > 0 && slots.max_concurrent > 0 && `${plural(empty, "slot")} empty: ${reason.text}. `}
      ${beyond > 0 && `${plural(beyond, "more slot")} not drawn. `}
      ${others > 0 && `${plural(others, "job")} of other keys. `}
      ${slots.jobs_left_out > others && `${plural(slots.jobs_left_out - others, "more job")} running. `}
    </p>`;
}

function Empty({ reason, roomy }) {
  return html`<li class=${`cell empty ${reason.kind}`} title=${`empty: ${reason.text}`}>
    ${roomy ? html`<span>${reason.text}</span>` : html`<span class="unseen">empty</span>`}
  </li>`;
}

function Others({ roomy }) {
  return html`<li class="cell others" title="another key's job">
    <span class=${roomy ? "" : "unseen"}>another key's job</span>
  </li>`;
}

function lookOf(job, usual, drains) {
  const age = job.running_seconds ?? 0;
  const p95 = usual?.run_p95_seconds ?? Infinity;
  const late = age > 2 * p95 ? "very-late" : age > p95 ? "late" : "";
  return ["cell taken", late, drains && "drains", job.heartbeat_seconds === null && "orphan"].filter(Boolean).join(" ");
}

// `usual` null: it is not for this key.
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
        ${usual && html`<span class="small">${p95 === null ? "no usual time yet" : `p95 ${seconds(p95)}`}</span>`}
        <span class="small">${memoryOf(job, usual)}</span>
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
    usual?.run_p95_seconds == null ? "" : `usually up to ${seconds(usual.run_p95_seconds)}`,
    job.memory_mb === null ? "" : `holds ${megabytes(job.memory_mb)}`, job.worker ?? "",
    look.includes("drains") ? "above the cap: runs to its end" : "",
    look.includes("orphan") ? "its worker's lease is gone" : "",
  ].filter(Boolean).join(", ");
}

function memoryOf({ memory_mb: now }, usual) {
  const peak = usual?.peak_memory_mb ?? null;
  if (now === null) return peak === null ? "memory not known" : `peak of late ${megabytes(peak)}`;
  if (peak === null || peak <= now) return megabytes(now);
  return `${peak < 1024 ? now : megabytes(now)}, peak ${megabytes(peak)}`;
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
