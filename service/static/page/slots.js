// The first panel: the board of slots, the cap, the flow.
import { html } from "./preact.js";
import { useLive } from "./live.js";
import { Notice, Panel } from "./parts.js";
import { count, plural, seconds, share } from "./words.js";
import { to } from "./route.js";
import { Board } from "./board.js";
import { Cap } from "./cap.js";
import { Flow } from "./flow.js";
import { Proof } from "./proof.js";

const STATS_MS = 5000;

export function Slots({ query }) {
  const seen = useLive("jobs/concurrency");
  const window = query.get("window") ?? "3600";
  const stats = useLive(`stats?window=${encodeURIComponent(window)}`, STATS_MS);
  const slots = seen.data;
  return html`
    <${Notice} seen=${seen} what="the slots" />
    ${slots && html`<${Figures} slots=${slots} />`}
    <div class="columns">
      ${slots && html`
        <${Panel} title="Slots" id="board-title" className="board" aside=${html`<${Proof} />`}>
          <${Board} slots=${slots} usual=${stats.data?.algorithms ?? {}} />
          <${Cap} slots=${slots} />
        <//>`}
      <${Flow} seen=${stats} window=${window} />
    </div>`;
}

// Each number leads to the list that it counts.
function Figures({ slots }) {
  const free = slots.available_slots;
  const full = slots.saturated_since ? "no slot is free" : `${plural(free, "slot")} free`;
  return html`
    <ul class="figures" aria-label="The fleet now">
      <${Figure} name="running" value=${`${count(slots.running_jobs)} of ${count(slots.max_concurrent)}`} more=${full}
        href=${to(["jobs"], { status: "running" })} />
      <${Figure} name="waiting" value=${count(slots.pending_jobs)}
        more=${slots.scheduled_jobs ? `and ${count(slots.scheduled_jobs)} not due yet` : "due now"}
        href=${to(["jobs"], { status: "pending" })} />
      <${Figure} name="oldest waits" value=${seconds(slots.oldest_pending_seconds)} more="for a slot"
        href=${to(["jobs"], { status: "pending" })} />
      <${Figure} name="slots used" value=${share(slots.utilisation["1m"])}
        more=${`last minute; ${share(slots.utilisation["15m"])} in 15 min`} href=${to(["jobs"], { status: "completed" })} />
      <${Figure} name="idle-slot time" value=${seconds(slots.idle_slot_seconds_total)} more="free while a job waited"
        href=${to(["workers"])} />
      <${Figure} name="workers" value=${count(slots.workers.length)} more=${drained(slots.workers)} href=${to(["workers"])} />
    </ul>`;
}

function drained(workers) {
  const draining = workers.filter((worker) => worker.draining).length;
  return draining ? `${count(draining)} drained` : "alive";
}

function Figure({ name, value, more, href }) {
  return html`
    <li><a href=${href}><span class="name">${name}</span><strong>${value}</strong><span class="quiet">${more}</span></a></li>`;
}
