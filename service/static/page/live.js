// A snapshot of the service that is read again at each pulse, never more often than it says, never twice at once.
import { useEffect, useState } from "./preact.js";
import { read } from "./api.js";
import { onPulse } from "./pulse.js";

export const OFTEN_MS = 400;
const REFUSED = new Set([401, 403]); // no key, or one whose scope is too small: neither changes until the page is loaded anew
const refusals = new Map(); // by path, without its query
const NOTHING = { path: null, data: null, problem: null };

// What stands at `path`: {data, problem}. Both null until the first answer; null as `path` asks for nothing.
export function useLive(path, leastMs = OFTEN_MS) {
  const [seen, show] = useState(NOTHING);
  useEffect(() => (path === null ? undefined : watch(path, leastMs, show)), [path, leastMs]);
  return seen.path === path ? seen : NOTHING;
}

export function isRefused({ problem }) {
  return REFUSED.has(problem?.status);
}

function watch(path, leastMs, show) {
  const refusal = refusals.get(plain(path));
  if (refusal) {
    show({ path, data: null, problem: refusal });
    return undefined;
  }
  const ending = new AbortController();
  let busy = false;
  let again = false;
  let timer = 0;
  let last = -Infinity;

  async function look() {
    timer = 0;
    busy = true;
    last = performance.now();
    try {
      const data = await read(path, ending.signal);
      show({ path, data, problem: null });
    } catch (problem) {
      if (ending.signal.aborted) return;
      if (isRefused({ problem })) return refuse(problem);
      show((before) => ({ path, data: before.path === path ? before.data : null, problem }));
    }
    busy = false;
    if (again) wish();
  }

  function refuse(problem) {
    off();
    refusals.set(plain(path), problem);
    show({ path, data: null, problem });
  }

  function wish(now = false) {
    if (now) last = -Infinity;
    again = busy;
    if (busy || ending.signal.aborted) return;
    clearTimeout(timer);
    timer = setTimeout(look, Math.max(0, last + leastMs - performance.now()));
  }

  const off = onPulse(wish);
  look();
  return () => {
    off();
    clearTimeout(timer);
    ending.abort();
  };
}

function plain(path) {
  return path.split("?")[0];
}
