// How figures, times and ids are written. Asks nobody, shows nothing.

const WHOLE = new Intl.NumberFormat("en");
const TODAY = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit",
});
export const NONE = "–";

export function count(number) {
  return number === null || number === undefined ? NONE : WHOLE.format(number);
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
  return at.toDateString() === new Date().toDateString() ? TODAY.format(at) : DAY.format(at);
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
