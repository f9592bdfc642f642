// What a job says while it runs: its progress and its log, followed by the job's own stream of events.
import { html, useEffect, useRef, useState } from "./preact.js";
import { events } from "./stream.js";
import { beat } from "./pulse.js";
import { count } from "./words.js";

const KEPT_CHARS = 64 * 1024;
const FLUSH_MS = 100; // however fast it talks
const AGAIN_MS = 2000;
const LOST = new Set([401, 403, 404]);
const NOTHING = { text: "", missing: 0, progress: null, problem: null };

// {text, missing, progress, problem} of the job at `path`, as it goes on. Nothing is read while the tab is hidden.
// A retry begins a new life: `ended` is whether the job has, as far as is known.
export function useStory(path, ended) {
  const [story, show] = useState(NOTHING);
  const life = useLife(ended);
  useEffect(() => {
    const told = { ...NOTHING };
    let done = false;
    let ending = null;
    let place = "";
    let timer = 0;
    const flush = () => {
      timer = 0;
      show({ ...told });
    };
    const later = () => { timer ||= setTimeout(flush, FLUSH_MS); };
    const hear = async (signal) => {
      while (!signal.aborted) {
        try {
          for await (const event of events(`${path}/events`, signal, place)) {
            take(told, event);
            place = event.id;
            later();
            if (event.name !== "log") beat();
            done = event.name === "end";
          }
          if (done) return;
        } catch (problem) {
          if (signal.aborted) return;
          told.problem = problem;
          later();
          if (LOST.has(problem.status)) return;
        }
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    };
    const turned = () => {
      ending?.abort();
      if (document.hidden || done) return;
      ending = new AbortController();
      hear(ending.signal);
    };
    turned();
    document.addEventListener("visibilitychange", turned);
    return () => {
      document.removeEventListener("visibilitychange", turned);
      clearTimeout(timer);
      ending?.abort();
    };
  }, [path, life]);
  return story;
}

// How often the job began anew.
function useLife(ended) {
  const told = useRef({ life: 0, ended });
  if (told.current.ended && !ended) told.current.life += 1;
  told.current.ended = ended;
  return told.current.life;
}

function take(told, { name, data }) {
  told.problem = null;
  if (name === "progress") told.progress = { percent: data.percent, message: data.message };
  if (name !== "log") return;
  told.missing += data.missing;
  told.text += data.text;
  const over = told.text.length - KEPT_CHARS;
  if (over > 0) {
    told.text = told.text.slice(over);
    told.missing += over;
  }
}

export function Log({ story, path }) {
  const element = useRef(null);
  const below = useRef(true);
  useEffect(() => {
    if (below.current) element.current.scrollTop = element.current.scrollHeight;
  }, [story.text]);
  const scrolled = ({ target }) => { below.current = target.scrollHeight - target.scrollTop - target.clientHeight < 40; };
  return html`
    ${story.missing > 0 && html`<p class="quiet">${count(story.missing)} bytes before this are not shown.</p>`}
    ${story.problem && html`<p class="bad">${story.problem.message}</p>`}
    <pre class="log" ref=${element} tabindex="0" role="log" aria-label="What the job printed" onScroll=${scrolled}
      >${story.text || "Nothing was printed."}</pre>
    <p><a href=${`${path}/logs`}>As plain text</a></p>`;
}
