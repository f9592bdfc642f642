// The list of jobs, newest first, by whatever the address says.
import { html, useEffect, useMemo, useState } from "./preact.js";
import { part, read } from "./api.js";
import { useLive } from "./live.js";
import { Ago, JobLink, Labels, Notice, Panel, Status, Table } from "./parts.js";
import { count, seconds } from "./words.js";
import { to } from "./route.js";
import { Bulk } from "./bulk.js";
import { Filters, asked, chosen } from "./filters.js";

const LEAST_MS = 1000;
const NAMES_MS = 30_000;
const PAGE = 50;
const EXPLAINED = 20; // waiting jobs of a page whose place in the line is asked for: each costs a request
const EXPLAIN_MS = 3000;
const COLUMNS = ["status", "algorithm", "job", "made", "waited", "ran", "what is said of it", "labels"];

export function Jobs({ query }) {
  const address = query.toString();
  const filter = useMemo(() => chosen(query), [address]);
  const path = useMemo(() => {
    const more = query.get("cursor") ? { cursor: query.get("cursor") } : {};
    return `jobs?${new URLSearchParams({ ...asked(filter), limit: PAGE, ...more })}`;
  }, [address]);
  const seen = useLive(path, LEAST_MS);
  const known = useLive("algorithms", NAMES_MS);
  const places = usePlaces(seen.data?.jobs ?? []);
  const next = seen.data?.next_cursor;
  return html`
    <${Panel} title="Jobs" id="jobs-title">
      <${Filters} filter=${filter} algorithms=${known.data?.algorithms.map((one) => one.name) ?? []} />
      <${Bulk} key=${`bulk ${address}`} filter=${filter} />
      <${Notice} seen=${seen} what="the jobs" />
      ${seen.data && html`
        <${Table} label="Jobs, newest first" columns=${COLUMNS}>
          ${seen.data.jobs.map((job) => html`<${Row} key=${job.job_id} job=${job} place=${places[job.job_id]} />`)}
        <//>
        ${!seen.data.jobs.length && html`
          <p class="notice quiet">${next ? "None on this page; there are older ones." : "No job fits."}</p>`}`}
      <nav class="actions" aria-label="Pages">
        ${query.get("cursor") && html`<a href=${to(["jobs"], { ...filter })}>Newest</a>`}
        ${next && html`<a href=${to(["jobs"], { ...filter, cursor: next })}>Older</a>`}
      </nav>
    <//>`;
}

function Row({ job, place }) {
  return html`
    <tr>
      <td><${Status} job=${job} /></td>
      <td>${job.algorithm ?? "–"}</td>
      <td><${JobLink} id=${job.job_id} /></td>
      <td><${Ago} time=${job.created_at} /></td>
      <td>${seconds(job.wait_seconds)}</td>
      <td>${job.status === "running" ? html`<${Progress} job=${job} />` : seconds(job.run_seconds)}</td>
      <td class="said">${saidOf(job, place)}</td>
      <td><${Labels} of=${job.labels} /></td>
    </tr>`;
}

export function Progress({ job }) {
  if (job.progress === null) return "–";
  return html`<progress max="100" value=${job.progress} aria-label="progress"></progress> ${Math.round(job.progress)} %`;
}

function saidOf(job, place) {
  if (job.status === "failed") return `${job.error?.type}: ${job.error?.message}`;
  if (job.status === "running") return [job.worker && `on ${job.worker}`, job.message].filter(Boolean).join(": ");
  if (job.status !== "pending" || !place) return "";
  const eta = place.eta_seconds ? `, starts in about ${seconds(place.eta_seconds.p50)}` : "";
  return `${place.position === null ? "" : `${count(place.position)} in line${eta}. `}${place.text}`;
}

// Why each of the first waiting jobs waits, and where it stands; asked for anew as the list changes.
function usePlaces(jobs) {
  const [places, set] = useState({});
  const waiting = jobs.filter((job) => job.status === "pending").slice(0, EXPLAINED).map((job) => job.job_id);
  const which = waiting.join(" ");
  useEffect(() => {
    const ending = new AbortController();
    const look = async () => {
      if (document.hidden) return;
      const told = await Promise.all(waiting.map((id) => read(`jobs/${part(id)}/explain`, ending.signal).catch(() => null)));
      if (!ending.signal.aborted) set(Object.fromEntries(waiting.map((id, at) => [id, told[at]])));
    };
    if (waiting.length) look();
    const timer = setInterval(look, EXPLAIN_MS);
    return () => {
      clearInterval(timer);
      ending.abort();
    };
  }, [which]);
  return places;
}
