// The control of a cap: a new value, why, for how long; what it will do is said before it does it.
import { html, useState } from "./preact.js";
import { ask, part } from "./api.js";
import { attempt, useRefused, Action } from "./action.js";
import { Sure } from "./dialog.js";
import { useLive } from "./live.js";
import { Table, Time } from "./parts.js";
import { count, plural, seconds } from "./words.js";

const LASTING = [
  ["", "until it is changed"], ["900", "15 minutes"], ["3600", "1 hour"], ["28800", "8 hours"], ["86400", "1 day"],
];
const CONTROL = "resize";
const AUDIT_MS = 2000;

export function Cap({ slots }) {
  const { override, configured } = slots;
  return html`
    <div class="cap">
      <p>The cap is <strong>${count(slots.max_concurrent)}</strong>${
        override ? told(override, configured) : ", as configured."}</p>
      <${CapForm} path="jobs/concurrency" now=${slots.max_concurrent} overridden=${override !== null}
        back="Back to configured" />
      <${Audit} />
    </div>`;
}

function told({ by, at, reason, expires_at: until }, configured) {
  return html`, set by ${by ?? "somebody"} at <${Time} time=${at} />${reason && `: ${reason}`}${
    until && html`, until <${Time} time=${until} />`}. Configured are ${count(configured)}.`;
}

export function AlgorithmCap({ name, own }) {
  const stands = own.max_concurrent === null ? "It has no cap of its own." : `Its own cap is ${count(own.max_concurrent)}.`;
  return html`
    <div class="cap">
      <p>${stands} ${own.rate && `It may start ${own.rate}.`}</p>
      <${CapForm} path=${`jobs/concurrency/algorithms/${part(name)}`} now=${own.max_concurrent}
        overridden=${own.override !== null} back="Back to declared" />
    </div>`;
}

function CapForm({ path, now, overridden, back }) {
  const [asked, set] = useState(null); // what was asked for, with what it would do
  const [problem, fail] = useState(null);
  const refused = useRefused(CONTROL);

  const step = async (act) => {
    fail(null);
    try {
      return await attempt(CONTROL, act);
    } catch (failed) {
      fail(failed);
      return null;
    }
  };
  const submitted = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const body = { max_concurrent: Number(form.get("value")) };
    if (form.get("reason").trim()) body.reason = form.get("reason").trim();
    if (form.get("ttl")) body.ttl = Number(form.get("ttl"));
    const effect = await step(() => ask("PUT", `${path}?dry_run=true`, body));
    if (effect) set({ body, effect });
  };
  const agreed = () => {
    set(null);
    step(() => ask("PUT", path, asked.body));
  };
  const clear = async () => ({
    title: back, yes: back, text: foretold(await ask("DELETE", `${path}?dry_run=true`)),
  });
  return html`
    <form class="row" onSubmit=${submitted}>
      <label>New cap <input name="value" type="number" min="0" max="100000" required disabled=${refused !== null}
        placeholder=${now === null ? "" : String(now)} /></label>
      <label>Reason <input name="reason" maxlength="500" disabled=${refused !== null} /></label>
      <label>For <select name="ttl" disabled=${refused !== null}>
        ${LASTING.map(([value, text]) => html`<option key=${value} value=${value}>${text}</option>`)}
      </select></label>
      <button class="primary" disabled=${refused !== null}>Change…</button>
      ${overridden && html`<${Action} control=${CONTROL} label=${`${back}…`} prepare=${clear}
        act=${async () => { await ask("DELETE", path); return null; }} />`}
    </form>
    <p class="bad" role="status">${refused ?? problem?.message}</p>
    ${asked && html`
      <${Sure} title="Change the cap" yes=${`Set it to ${count(asked.body.max_concurrent)}`}
        onYes=${agreed} onNo=${() => set(null)}>
        <p>${foretold(asked.effect)}</p>
      <//>`}`;
}

// What a change would do, in words.
export function foretold({ from, to, fills, drains, drains_in_seconds: lasts }) {
  const change = `From ${from === null ? "none" : count(from)} to ${to === null ? "none" : count(to)}: `;
  if (drains) {
    const about = lasts === null ? "" : `, in about ${seconds(lasts)}`;
    const run = drains === 1 ? "runs" : "run";
    return `${change}${plural(drains, "running job")} above it ${run} to the end${about}; nothing is killed.`;
  }
  return change + (fills ? `at most ${plural(fills, "waiting job")} would start at once.` : "nothing starts or ends by it now.");
}

function Audit() {
  const [open, set] = useState(false);
  const { data } = useLive(open ? "jobs/concurrency/audit?limit=20" : null, AUDIT_MS);
  return html`
    <details onToggle=${(event) => set(event.target.open)}>
      <summary>Who changed it</summary>
      ${data && html`
        <${Table} label="Changes of caps" columns=${["at", "of", "from", "to", "by", "reason"]}>
          ${data.audit.map((one) => html`
            <tr key=${one.at + one.change}>
              <td><${Time} time=${one.at} /></td><td>${one.algorithm ?? "the fleet"}</td>
              <td>${count(one.from)}</td><td>${count(one.to)}</td>
              <td>${one.by ?? one.change}</td><td>${one.reason ?? one.change}</td>
            </tr>`)}
        <//>`}
    </details>`;
}
