// The page's pulse: says that something may have changed. What it has become is read anew by whoever shows it.
//
// The service's own events where it has them, every two seconds where it has not; nothing while the tab is hidden.
import { useEffect, useState } from "./preact.js";
import { events } from "./stream.js";

const EVERY_MS = 2000; // without events; and with them, for what grows without one, as ages do
const AGAIN_MS = 2000; // after a stream has broken off
const UNKNOWN = new Set([403, 404, 405, 406]);

const listeners = new Set();
const watchers = new Set();
let state = "starting"; // live, polling, away, locked, hidden
let ending = new AbortController();
let timer = 0;
let barred = false; // they are not for this key

// `listener(now)`: `now` is true after an action of the reader's own, whose outcome should be seen at once.
export function onPulse(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function beat(now = false) {
  for (const listener of listeners) listener(now);
}

function become(next) {
  if (state === next) return;
  state = next;
  for (const watcher of watchers) watcher(next);
}

export function usePulseState() {
  const [told, tell] = useState(state);
  useEffect(() => {
    watchers.add(tell);
    tell(state);
    return () => watchers.delete(tell);
  }, []);
  return told;
}

export function start() {
  document.addEventListener("visibilitychange", () => (document.hidden ? pause() : resume()));
  if (document.hidden) become("hidden");
  else resume();
}

function pause() {
  ending.abort();
  clearInterval(timer);
  become("hidden");
}

function resume() {
  ending.abort();
  ending = new AbortController();
  clearInterval(timer);
  timer = setInterval(beat, EVERY_MS);
  beat(true);
  follow(ending.signal);
}

async function follow(signal) {
  if (barred) return become("polling");
  while (!signal.aborted) {
    try {
      for await (const _ of events("events", signal)) {
        become("live");
        beat();
      }
    } catch (problem) {
      if (signal.aborted) return;
      barred = problem.status === 403;
      if (UNKNOWN.has(problem.status)) return become("polling");
      if (problem.status === 401) return become("locked");
      become("away");
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}
