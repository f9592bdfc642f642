// A question that must be answered before anything else: the browser's own modal dialog.
import { html, useEffect, useRef } from "./preact.js";

export function Dialog({ title, onClose, children }) {
  const element = useRef(null);
  useEffect(() => {
    if (!element.current.open) element.current.showModal();
  }, []);
  const cancelled = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`
    <dialog ref=${element} aria-labelledby="dialog-title" onCancel=${cancelled}>
      <header>
        <h2 id="dialog-title">${title}</h2>
        <button class="plain" type="button" aria-label="Close" onClick=${onClose}>✕</button>
      </header>
      ${children}
    </dialog>`;
}

// "Are you sure?", in words that say of what.
export function Sure({ title, yes, danger = false, onYes, onNo, children }) {
  return html`
    <${Dialog} title=${title} onClose=${onNo}>
      <div class="stack">
        ${children}
        <p class="actions">
          <button type="button" onClick=${onNo}>Leave it</button>
          <button type="button" class=${danger ? "danger" : "primary"} onClick=${onYes}>${yes}</button>
        </p>
      </div>
    <//>`;
}
