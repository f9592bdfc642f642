// Why a slot is empty, as far as one snapshot tells. What holds one waiting job back is that job's to explain.
import { plural } from "./words.js";

// The reason that holds for each of the empty slots: {kind, text}.
export function vacancy(slots) {
  if (!slots.workers.length) return { kind: "bad", text: "no worker is there" };
  if (slots.pending_jobs === 0) {
    const later = slots.scheduled_jobs ? `; ${plural(slots.scheduled_jobs, "job")} not due yet` : "";
    return { kind: "calm", text: `nothing waits${later}` };
  }
  if (slots.workers.every((worker) => worker.draining)) return { kind: "bad", text: "every worker is drained" };
  if (slots.workers.every((worker) => worker.draining || roomOf(worker) === 0)) {
    return { kind: "held", text: "the workers' own slots are taken" };
  }
  return held(slots) ?? { kind: "held", text: "a job is about to start" };
}

function roomOf(worker) {
  return worker.slots === null ? Infinity : Math.max(0, worker.slots - worker.running);
}

function held(slots) {
  const served = new Set(slots.workers.flatMap((worker) => worker.algorithms));
  const waiting = Object.entries(slots.algorithms).filter(([, own]) => own.pending > 0);
  if (!waiting.length) return null;
  const reasons = waiting.map(([name, own]) => why(name, own, served));
  return reasons.includes(null) ? null : { kind: "held", text: reasons[0] };
}

function why(name, own, served) {
  if (!served.has(name)) return `no worker serves ${name}`;
  if (own.max_concurrent !== null && own.running >= own.max_concurrent) return `${name} is at its own cap`;
  return own.rate === null ? null : `${name} may start ${own.rate} only`;
}
