// The API key, where the service asks for one: kept for this tab only, and forgotten with it.
import { html, useEffect, useState } from "./preact.js";
import { Dialog } from "./dialog.js";

const KEPT = "slotwise-key";
let asking = null; // while the dialog is open: {answer, promise, detail}
let shown = () => {};

export function key() {
  return sessionStorage.getItem(KEPT) ?? "";
}

export function forget() {
  sessionStorage.removeItem(KEPT);
  location.reload(); // what was shown may be more than the next key allows
}

// Whether there is another key than the one that was refused. Everybody who needs one waits for the same dialog.
export async function another(refused, detail) {
  if (key() !== refused) return true;
  if (!asking) {
    let answer;
    const promise = new Promise((resolve) => { answer = resolve; });
    asking = { answer, promise, detail };
    shown(asking);
  }
  return asking.promise;
}

function answered(value) {
  if (value) sessionStorage.setItem(KEPT, value);
  const { answer } = asking;
  asking = null;
  shown(null);
  answer(Boolean(value));
}

export function KeyDialog() {
  const [open, set] = useState(asking);
  useEffect(() => {
    shown = set;
    set(asking);
  }, []);
  if (!open) return null;
  const submitted = (event) => {
    event.preventDefault();
    answered(new FormData(event.target).get("key").trim());
  };
  return html`
    <${Dialog} title="An API key, please" onClose=${() => answered("")}>
      <form class="stack" onSubmit=${submitted}>
        <p>${open.detail}</p>
        <label>API key <input name="key" type="password" autocomplete="off" required /></label>
        <p class="quiet">It stays in this tab, and is forgotten when the tab is closed.</p>
        <p class="actions"><button class="primary">Use this key</button></p>
      </form>
    <//>`;
}
