// Cancel or retry all jobs that fit a filter: counted first, then done to exactly so many, or to none.
import { html } from "./preact.js";
import { ask } from "./api.js";
import { Action } from "./action.js";
import { asked } from "./filters.js";
import { count, plural } from "./words.js";

const CAN = {
  cancel: { states: ["", "pending", "running"], label: "Cancel all of these…", danger: true,
    text: (jobs) => `${jobs} will be cancelled; what runs is told to end.` },
  retry: { states: ["", "failed", "cancelled"], label: "Retry all of these…", danger: false,
    text: (jobs) => `${jobs} will wait again, under the same ids.` },
};

export function Bulk({ filter }) {
  const ones = Object.keys(CAN).map((what) => html`<${One} key=${what} what=${what} filter=${filter} />`);
  return html`<p class="actions">${ones}</p>`;
}

function One({ what, filter }) {
  const { states, label, danger, text } = CAN[what];
  if (!states.includes(filter.status)) return null;
  const path = `jobs/${what}`;
  const prepare = async () => {
    const body = { filter: wanted(filter) };
    const { matched } = await ask("POST", path, { ...body, dry_run: true });
    return {
      title: what === "cancel" ? "Cancel jobs" : "Retry jobs", danger, arg: { ...body, expected: matched },
      yes: `${what === "cancel" ? "Cancel" : "Retry"} ${plural(matched, "job")}`, text: text(plural(matched, "job")),
    };
  };
  const act = async (body) => {
    const { matched, done } = await ask("POST", path, body);
    return `${count(done)} of ${plural(matched, "job")} done.`;
  };
  return html`
    <${Action} control=${`bulk-${what}`} label=${label} className=${danger ? "danger" : ""} prepare=${prepare} act=${act} />`;
}

// In a body a number is a number.
function wanted(filter) {
  const given = asked(filter);
  return given.min_running_seconds ? { ...given, min_running_seconds: Number(given.min_running_seconds) } : given;
}
