// A button that does something to the service: what it did or why not is said beside it.
import { html, useEffect, useState } from "./preact.js";
import { beat } from "./pulse.js";
import { Sure } from "./dialog.js";

const refused = new Map(); // what the key does not allow, by the name of the control: why
const watchers = new Set();

// Calls the service; a 403 is remembered, and every control of that name shows it from then on.
export async function attempt(control, act) {
  try {
    const done = await act();
    beat(true);
    return done;
  } catch (problem) {
    if (problem.status === 403) {
      refused.set(control, problem.message);
      for (const watcher of watchers) watcher({});
    }
    throw problem;
  }
}

export function useRefused(control) {
  const [, again] = useState(null);
  useEffect(() => {
    watchers.add(again);
    return () => watchers.delete(again);
  }, []);
  return refused.get(control) ?? null;
}

// `prepare`, where there is one, answers the question that is asked first: {title, yes, text, danger, arg}.
export function Action({ control, label, prepare, act, className = "" }) {
  const [question, ask] = useState(null);
  const [busy, setBusy] = useState(false);
  const [said, say] = useState(null);
  const why = useRefused(control);

  async function run(step) {
    setBusy(true);
    say(null);
    try {
      say(await attempt(control, step));
    } catch (problem) {
      say(problem);
    }
    setBusy(false);
  }
  const pressed = () => run(prepare ? async () => { ask(await prepare()); return null; } : act);
  const agreed = () => {
    ask(null);
    run(() => act(question.arg));
  };
  return html`
    <span class="action">
      <button type="button" class=${className} disabled=${busy || why !== null} onClick=${pressed}>${label}</button>
      <span class=${said instanceof Error ? "bad" : "quiet"} role="status">
        ${why ?? (said instanceof Error ? said.message : said)}
      </span>
      ${question && html`
        <${Sure} ...${question} onYes=${agreed} onNo=${() => ask(null)}>
          <p>${question.text}</p>
        <//>`}
    </span>`;
}
