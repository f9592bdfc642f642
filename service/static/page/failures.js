// Failures, grouped by what is the same of them.
import { html } from "./preact.js";
import { useLive } from "./live.js";
import { Ago, JobLink, Notice, Panel } from "./parts.js";
import { count, plural } from "./words.js";
import { to } from "./route.js";

const LEAST_MS = 1000;

export function Failures() {
  const seen = useLive("failures?limit=100", LEAST_MS);
  return html`
    <${Panel} title="Failures" id="failures-title">
      <${Notice} seen=${seen} what="the failures" />
      ${seen.data && !seen.data.failures.length && html`<p class="notice quiet">Nothing has failed in the last week.</p>`}
      <ul class="cards">
        ${seen.data?.failures.map((group) => html`<${Group} key=${group.fingerprint} group=${group} />`)}
      </ul>
    <//>`;
}

function Group({ group }) {
  const all = to(["jobs"], { status: "failed", algorithm: group.algorithm, error_type: group.error_type });
  return html`
    <li class="card">
      <h3><a href=${all}>${count(group.count)} × ${group.algorithm ?? "unknown"}: ${group.error_type}</a></h3>
      <p class="message">${group.message}</p>
      ${group.origin && html`<p class="quiet">${group.origin}</p>`}
      <p class="quiet">last <${Ago} time=${group.last_seen} />, first <${Ago} time=${group.first_seen} /></p>
      <p class="ids">${group.job_ids.length ? `the latest ${plural(group.job_ids.length, "job")}: ` : "none is kept any more"}
        ${group.job_ids.map((id) => html`<span key=${id}><${JobLink} id=${id} /> </span>`)}</p>
    </li>`;
}
