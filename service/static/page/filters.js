// Which jobs: what stands in the address, in words that the service understands.
import { html, useEffect, useRef } from "./preact.js";
import { to, toJob } from "./route.js";

export const STATUSES = ["pending", "running", "completed", "failed", "cancelled"];
const ERRORS = ["exception", "timeout", "memory_limit", "cpu_limit", "crashed", "lost", "bad_result", "bad_params",
  "algorithm_not_found", "expired"];
const AGES = [["", "any age"], ["900", "15 minutes"], ["3600", "1 hour"], ["86400", "1 day"]];
const PLAIN = ["status", "algorithm", "label", "error_type", "min_running_seconds"];

// What the form shows, from the address.
export function chosen(query) {
  const names = [...PLAIN, "newer", "older"];
  return Object.fromEntries(names.map((name) => [name, query.get(name) ?? ""]));
}

// As `GET /jobs` and the bulk actions take it. Ages are told in seconds, and become times now.
export function asked(filter) {
  const given = PLAIN.filter((name) => filter[name]).map((name) => [name, filter[name]]);
  const ago = (text) => new Date(Date.now() - Number(text) * 1000).toISOString();
  if (filter.newer) given.push(["created_after", ago(filter.newer)]);
  if (filter.older) given.push(["created_before", ago(filter.older)]);
  return Object.fromEntries(given);
}

// What is typed stays as it is while the page is drawn anew; only another address sets the fields.
export function Filters({ filter, algorithms }) {
  const form = useRef(null);
  const names = [...new Set([...algorithms, filter.algorithm].filter(Boolean))];
  const known = names.join();
  useEffect(() => {
    for (const [name, value] of Object.entries(filter)) form.current.elements[name].value = value;
  }, [filter, known]);
  const changed = (event) => {
    event.preventDefault();
    const { id, ...rest } = Object.fromEntries(new FormData(form.current));
    location.hash = id.trim() ? toJob(id.trim()) : to(["jobs"], rest);
  };
  return html`
    <form class="row" role="search" aria-label="Jobs" ref=${form} onSubmit=${changed}>
      <${Choice} label="Status" name="status" of=${plain("any", STATUSES)} changed=${changed} />
      <${Choice} label="Algorithm" name="algorithm" of=${plain("any", names)} changed=${changed} />
      <label>Label <input name="label" placeholder="name:value" onChange=${changed} /></label>
      <${Choice} label="Error" name="error_type" of=${plain("any", ERRORS)} changed=${changed} />
      <${Choice} label="Younger than" name="newer" of=${AGES} changed=${changed} />
      <${Choice} label="Older than" name="older" of=${AGES} changed=${changed} />
      <label>Running for, s <input name="min_running_seconds" type="number" min="0" step="any" onChange=${changed} /></label>
      <label>Job id <input name="id" autocomplete="off" spellcheck="false" onChange=${changed} /></label>
      <a href="#/jobs">All jobs</a>
    </form>`;
}

function plain(any, names) {
  return [["", any], ...names.map((name) => [name, name])];
}

function Choice({ label, name, of, changed }) {
  return html`
    <label>${label} <select name=${name} onChange=${changed}>
      ${of.map(([each, text]) => html`<option key=${each} value=${each}>${text}</option>`)}
    </select></label>`;
}
