// Server-sent events, read with `fetch`: an EventSource cannot send a key.
import { open, problemOf } from "./api.js";

// The events of a path, each {name, data, id}, until the service ends them or `signal` does. Throws Problem.
export async function* events(path, signal, lastId = "") {
  const headers = { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) };
  const response = await open(path, { headers, signal });
  if (!response.ok) throw await problemOf(response);
  if (response.status === 204) return;
  let event = fresh();
  for await (const line of lines(response.body, signal)) {
    if (line === "") {
      if (event.text !== null) yield { name: event.name, id: event.id, data: JSON.parse(event.text) };
      event = fresh(event.id);
    } else {
      take(event, line);
    }
  }
}

function fresh(id = "") {
  return { name: "message", text: null, id };
}

function take(event, line) {
  const colon = line.indexOf(":");
  if (colon === 0) return; // a comment: the service's ping
  const field = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (field === "event") event.name = value;
  if (field === "id") event.id = value;
  if (field === "data") event.text = event.text === null ? value : `${event.text}\n${value}`;
}

async function* lines(body, signal) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split(/\r\n|\n|\r/);
      rest = parts.pop();
      yield* parts;
    }
  } finally {
    if (!signal.aborted) await reader.cancel();
  }
}
