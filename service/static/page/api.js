// Requests to the service: the only module that calls `fetch`.
import { asked, key } from "./key.js";

const ROOT = new URL("../", import.meta.url);
const LONG = /\d{16}/;

// What went wrong, in the words of the service (RFC 9457).
export class Problem extends Error {
  constructor({ status = 0, type = "", title = "", detail = "", errors = [] }) {
    super(detail || title);
    Object.assign(this, { status, slug: type.replace("/problems/", ""), title, errors });
  }
}

// A response of the service, whatever its status; the stream of its body is the caller's.
export async function open(path, { headers = {}, ...options } = {}) {
  const authorized = key() ? { ...headers, Authorization: `Bearer ${key()}` } : headers;
  const response = await reached(new URL(path, ROOT), { ...options, headers: authorized, cache: "no-store" });
  if (response.status !== 401) return response;
  const problem = await problemOf(response);
  await asked(problem.message);
  throw problem;
}

async function reached(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ title: "The service does not answer", detail: "The service does not answer." });
  }
}

export async function problemOf(response) {
  const told = await response.json().catch(() => ({}));
  return new Problem({ detail: `The service answered ${response.status}.`, ...told, status: response.status });
}

// `body` is a value, or the text of one where numbers must stay as they were written.
export async function ask(method, path, body, options = {}) {
  const sent = body === undefined ? {} : {
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "Content-Type": "application/json" },
  };
  const response = await open(path, { method, ...sent, ...options });
  if (!response.ok) throw await problemOf(response);
  return response.status === 204 ? null : parsed(await response.text());
}

// Integers that a double would round stay as they were written, where the browser can (JSON.parse with source text).
function parsed(text) {
  return LONG.test(text) && JSON.rawJSON ? JSON.parse(text, exact) : JSON.parse(text);
}

function exact(_, value, context) {
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? JSON.rawJSON(context.source) : value;
}

export function read(path, signal) {
  return ask("GET", path, undefined, { signal });
}

// One part of a path; a job that is really called "concurrency" is told from the route of that name.
export function part(name) {
  return name === "concurrency" ? "%63oncurrency" : encodeURIComponent(name);
}
