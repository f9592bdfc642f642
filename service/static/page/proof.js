// The badge: was the cap kept at every instant, by the log of admissions replayed?
import { html, useState } from "./preact.js";
import { read } from "./api.js";
import { isRefused, useLive } from "./live.js";
import { clock, count, plural } from "./words.js";
import { Dialog } from "./dialog.js";
import { Facts, Notice } from "./parts.js";

const WINDOW = 60; // seconds, of the badge: a replay costs what happened in it
const EVERY_MS = 20_000;
const LONG_WINDOW = 3600;

export function Proof() {
  const seen = useLive(`jobs/concurrency/proof?window=${WINDOW}`, EVERY_MS);
  const [long, show] = useState(null);
  const { data, problem } = seen;
  if (isRefused(seen)) return html`<${Notice} seen=${seen} what="the proof" />`;
  if (!data) return html`<span class="badge quiet">${problem ? "proof not to be had" : "proof …"}</span>`;
  const kept = data.violations_found === 0;
  const look = async () => {
    show({ told: null });
    try {
      show({ told: await read(`jobs/concurrency/proof?window=${LONG_WINDOW}`) });
    } catch (failed) {
      show({ failed });
    }
  };
  return html`
    <button type="button" class=${`badge ${kept ? "good" : "bad"}`} onClick=${look}>
      ${kept ? "✓ cap kept" : `✗ ${plural(data.violations_found, "violation")}`}
    </button>
    ${long && html`<${Replay} ...${long} onClose=${() => show(null)} />`}`;
}

function Replay({ told, failed, onClose }) {
  return html`
    <${Dialog} title="The last hour, replayed" onClose=${onClose}>
      ${failed && html`<p class="bad">${failed.message}</p>`}
      ${!told && !failed && html`<p class="quiet">Replaying the log of admissions …</p>`}
      ${told && html`
        <${Facts} of=${[
          ["violations", count(told.violations_found)],
          ["steps", count(told.entries)],
          ["most at once", `${count(told.max_running)}${told.max_running_at ? ` at ${clock(told.max_running_at)}` : ""}`],
          ["cap", told.max_concurrent.slice(-3).map((step) => count(step.value)).join(", then ")],
          ["admitted, released", `${count(told.admitted)}, ${count(told.released)}`],
          ["covered since", clock(told.covered_since)],
        ]} />
        <ul>${told.violations.slice(0, 5).map((one, at) => html`
          <li key=${at} class="bad">${clock(one.at)}: ${one.detail}</li>`)}</ul>`}
    <//>`;
}
