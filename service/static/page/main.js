// The page: what stands on every panel, and which panel the address asks for.
import { html, render, useEffect, useRef } from "./preact.js";
import { KeyDialog, forget, key } from "./key.js";
import { start, usePulseState } from "./pulse.js";
import { useRoute } from "./route.js";
import { Slots } from "./slots.js";
import { Jobs } from "./jobs.js";
import { JobPage } from "./job.js";
import { Algorithms } from "./algorithms.js";
import { AlgorithmPage } from "./algorithm.js";
import { Workers } from "./workers.js";
import { Failures } from "./failures.js";

const PANELS = [
  ["", "Slots", Slots],
  ["jobs", "Jobs", Jobs, JobPage],
  ["algorithms", "Algorithms", Algorithms, AlgorithmPage],
  ["workers", "Workers", Workers],
  ["failures", "Failures", Failures],
];
const PULSES = {
  starting: "connecting",
  live: "live",
  polling: "every 2 s",
  away: "not reached",
  locked: "no key",
  hidden: "paused",
};

function Page() {
  const { path, query } = useRoute();
  const [, name, List, One] = PANELS.find(([of]) => of === (path[0] ?? "")) ?? PANELS[0];
  const main = useRef(null);
  const first = useRef(true);
  const where = path.join("/");
  useEffect(() => {
    document.title = `${path[1] ?? name} · Slotwise`;
    if (!first.current) main.current.focus();
    first.current = false;
  }, [where]);
  return html`
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); main.current.focus(); }}>To the content</a>
    <${Head} of=${path[0] ?? ""} />
    <main id="main" ref=${main} tabindex="-1">
      ${path[1] !== undefined && One ? html`<${One} key=${path[1]} name=${path[1]} />` : html`<${List} query=${query} />`}
    </main>
    <${KeyDialog} />`;
}

function Head({ of }) {
  const pulse = usePulseState();
  return html`
    <header class="head">
      <h1><a href="#/"><img src="page/icon.svg" alt="" width="22" height="22" />Slotwise</a></h1>
      <nav aria-label="Panels">
        ${PANELS.map(([path, name]) => html`
          <a key=${path} href=${`#/${path}`} aria-current=${path === of ? "page" : null}>${name}</a>`)}
      </nav>
      <p class="pulse"><span class=${`dot ${pulse}`}></span><span role="status">${PULSES[pulse]}</span></p>
      ${(key() || pulse === "locked") && html`
        <button type="button" class="plain" onClick=${forget}>${key() ? "Forget the key" : "Give a key"}</button>`}
      <a class="docs" href="docs">API</a>
    </header>`;
}

// In a task of its own: to evaluate all modules is one, and long enough.
setTimeout(() => {
  const place = document.getElementById("page");
  place.replaceChildren();
  render(html`<${Page} />`, place);
  start();
});
