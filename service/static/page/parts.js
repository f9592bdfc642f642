// Small pieces that every panel is made of.
import { html } from "./preact.js";
import { clock, seconds, short, since } from "./words.js";
import { isRefused } from "./live.js";
import { toJob } from "./route.js";

// Why there is nothing to see: not yet, not allowed, not reached. Null where there is.
export function Notice({ seen, what }) {
  if (isRefused(seen)) {
    return html`<p class="notice quiet" role="status">Not for this key: ${what}. ${seen.problem.message}</p>`;
  }
  if (seen.problem) {
    const stale = seen.data ? " What is shown is older." : "";
    return html`<p class="notice bad" role="status">${seen.problem.message}${stale}</p>`;
  }
  return seen.data ? null : html`<p class="notice quiet">Reading ${what} …</p>`;
}

export function Panel({ title, id, className = "", aside = null, children }) {
  return html`
    <section class=${`panel ${className}`} aria-labelledby=${id}>
      <header><h2 id=${id}>${title}</h2>${aside}</header>
      ${children}
    </section>`;
}

export function Status({ job }) {
  const more = job.status === "pending" && job.reason !== "queued" ? job.reason : null;
  const ending = job.status === "running" && job.cancel_requested ? "to end" : null;
  const text = [job.status, more ?? ending].filter(Boolean).join(", ");
  return html`<span class=${`status ${job.status}`}>${text}</span>`;
}

export function JobLink({ id }) {
  return html`<a class="id" href=${toJob(id)} title=${id}>${short(id)}</a>`;
}

export function Ago({ time }) {
  if (!time) return "–";
  return html`<time datetime=${time} title=${clock(time)}>${seconds(since(time))} ago</time>`;
}

export function Time({ time }) {
  return time ? html`<time datetime=${time} title=${time}>${clock(time)}</time>` : "–";
}

// Pairs of a name and a value; a value of null is left out.
export function Facts({ of }) {
  const told = of.filter(([, value]) => value !== null && value !== undefined && value !== "");
  const rows = told.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`);
  return html`<dl class="facts">${rows}</dl>`;
}

// A table that a keyboard can scroll where it is wider than the screen.
export function Table({ label, columns, children }) {
  return html`
    <div class="wide" role="region" aria-label=${label} tabindex="0">
      <table>
        <thead><tr>${columns.map((name) => html`<th key=${name} scope="col">${name}</th>`)}</tr></thead>
        <tbody>${children}</tbody>
      </table>
    </div>`;
}

export function Labels({ of }) {
  return Object.entries(of).map(([name, value]) => html`<span class="label" key=${name}>${name}:${value}</span>`);
}
