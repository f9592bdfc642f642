// The first panel: the board of slots, the cap, the flow.
import { html, useEffect } from "./preact.js";
import { isRefused, useLive } from "./live.js";
import { Notice, Panel } from "./parts.js";
import { count, plural, seconds, share } from "./words.js";
import { to, untouched } from "./route.js";
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
  const refused = isRefused(seen);
  useEffect(() => {
    if (refused && untouched()) location.replace(to(["jobs"])); // which every key may see
  }, [refused]);
  return html`
    <${Notice} seen=${seen} what="the slots" />
    ${refused && html`<${Counts} />`}
    ${slots && html`<${Figures} slots=${slots} />`}
    <div class="columns">
      ${slots && html`
        <${Panel} title="Slots" id="board-title" className="board" aside=${html`<${Proof} />`}>
          <${Board} slots=${slots} usual=${isRefused(stats) ? null : stats.data?.algorithms ?? {}} />
          <${Cap} slots=${slots} />
        <//>`}
      <${Flow} seen=${stats} window=${window} />
    </div>`;
}

// The numbers that every key may see.
function Counts() {
  const { data } = useLive("jobs/concurrency/status");
  return data && html`<ul class="figures" aria-label="The fleet now"><${Running} slots=${data} /></ul>`;
}

function Running({ slots }) {
  const free = slots.available_slots;
  return html`
    <${Figure} name="running" value=${`${count(slots.running_jobs)} of ${count(slots.max_concurrent)}`}
      more=${free ? `${plural(free, "slot")} free` : "no slot is free"} href=${to(["jobs"], { status: "running" })} />`;
}

// Each number leads to the list that it counts.
function Figures({ slots }) {
  return html`
    <ul class="figures" aria-label="The fleet now">
      <${Running} slots=${slots} />
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
