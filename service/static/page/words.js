// How figures, times and ids are written. Asks nobody, shows nothing.

// No Intl: to load what it knows of languages takes a browser longer than all else before the first paint.
const THOUSANDS = /\B(?=(\d{3})+$)/g;
export const NONE = "–";

export function count(number) {
  if (number === null || number === undefined) return NONE;
  const [whole, part] = String(Math.round(number * 1000) / 1000).split(".");
  return whole.replace(THOUSANDS, ",") + (part ? `.${part}` : "");
}

export function plural(number, one, many = one + "s") {
  return `${count(number)} ${number === 1 ? one : many}`;
}

// A duration in seconds, to two figures or so.
export function seconds(value) {
  if (value === null || value === undefined) return NONE;
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  if (value < 9.95) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return pair(whole, 60, "min", 1, "s");
  if (whole < 86400) return pair(whole, 3600, "h", 60, "min");
  return pair(whole, 86400, "d", 3600, "h");
}

function pair(whole, large, largeName, small, smallName) {
  const rest = Math.floor((whole % large) / small);
  return `${Math.floor(whole / large)} ${largeName}` + (rest ? ` ${rest} ${smallName}` : "");
}

export function share(value) {
  return value === null || value === undefined ? NONE : `${Math.round(value * 100)} %`;
}

export function megabytes(value) {
  if (value === null || value === undefined) return NONE;
  if (value < 1) return "< 1 MB";
  return value >= 1024 ? `${(value / 1024).toFixed(1)} GB` : `${Math.round(value)} MB`;
}

// An RFC 3339 time, in the reader's own zone.
export function clock(time) {
  if (!time) return NONE;
  const at = new Date(time);
  const [, month, day] = at.toDateString().split(" ");
  const hour = at.toTimeString().slice(0, 8);
  return at.toDateString() === new Date().toDateString() ? hour : `${Number(day)} ${month}, ${hour}`;
}

export function since(time) {
  return time ? Math.max(0, (Date.now() - Date.parse(time)) / 1000) : null;
}

// The beginning of an id, where it is long enough to be told apart by that.
export function short(id) {
  return id.length > 12 ? id.slice(0, 8) : id;
}

export function json(value) {
  return JSON.stringify(value, null, 2);
}
