// What became of a job's webhook.
import { html } from "./preact.js";
import { ask } from "./api.js";
import { Action } from "./action.js";
import { useLive } from "./live.js";
import { Notice, Panel, Table, Time } from "./parts.js";
import { NONE, seconds } from "./words.js";

const LEAST_MS = 2000;
const COLUMNS = ["event", "at", "outcome", "status", "took", "again at"];

export function Webhooks({ path, url }) {
  const seen = useLive(`${path}/webhooks`, LEAST_MS);
  const again = async () => {
    await ask("POST", `${path}/webhooks/redeliver`);
    return "It is sent again.";
  };
  return html`
    <${Panel} title="Webhook" id="webhook-title">
      <p class="url">${url}</p>
      <${Notice} seen=${seen} what="the deliveries" />
      ${seen.data && html`
        <${Table} label="Deliveries" columns=${COLUMNS}>
          ${rowsOf(seen.data).map((row, at) => html`
            <tr key=${at}>
              <td>${row.event ?? row.type ?? NONE}</td><td><${Time} time=${row.at} /></td>
              <td>${row.outcome ?? NONE}</td><td>${row.status_code ?? NONE}</td>
              <td>${row.ms == null ? NONE : seconds(row.ms / 1000)}</td><td><${Time} time=${row.next_at} /></td>
            </tr>`)}
        <//>
        <${Action} control="redeliver" label="Send it again" act=${again} />`}
    <//>`;
}

// Every attempt, whichever delivery it belongs to.
function rowsOf(told) {
  const list = told.deliveries ?? told.webhooks ?? told.attempts ?? [];
  return list.flatMap((one) => (one.attempts ? one.attempts.map((each) => ({ ...one, ...each })) : [one]));
}
