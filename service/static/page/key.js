// The API key, where the service asks for one: kept for this tab only, and forgotten with it.
import { html, useEffect, useState } from "./preact.js";
import { Dialog } from "./dialog.js";

const KEPT = "slotwise-key";
let asking = null; // while the dialog is open: {promise, resolve, detail}
let declined = false; // the dialog was closed: nobody is asked again before the page is loaded anew
let shown = () => {};

export function key() {
  return sessionStorage.getItem(KEPT) ?? "";
}

export function forget() {
  sessionStorage.removeItem(KEPT);
  location.reload(); // what was shown may be more than the next key allows
}

// Ask for a key, with which the page begins anew; returns once the reader has none. All wait for the same dialog.
export async function asked(detail) {
  if (declined) return;
  if (!asking) {
    const { promise, resolve } = Promise.withResolvers();
    asking = { promise, resolve, detail };
    shown(asking);
  }
  await asking.promise;
}

function given(value) {
  sessionStorage.setItem(KEPT, value);
  location.reload(); // as above
}

function decline() {
  const { resolve } = asking;
  declined = true;
  asking = null;
  shown(null);
  resolve();
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
    given(new FormData(event.target).get("key").trim());
  };
  return html`
    <${Dialog} title="An API key, please" onClose=${decline}>
      <form class="stack" onSubmit=${submitted}>
        <p>${open.detail}</p>
        <label>API key <input name="key" type="password" autocomplete="off" required
          pattern=" *[!-~]+ *" title="letters, digits and signs, without spaces" /></label>
        <p class="quiet">It stays in this tab, and is forgotten when the tab is closed.</p>
        <p class="actions"><button class="primary">Use this key</button></p>
      </form>
    <//>`;
}
