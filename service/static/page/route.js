// Where the reader is: the part of the address behind `#`. Every panel and every filter is an address.
import { useEffect, useState } from "./preact.js";

let moved = false;
addEventListener("hashchange", () => { moved = true; }, { once: true });

// Whether the reader is still where the page was opened.
export function untouched() {
  return !moved;
}

export function here() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { path: path.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function useRoute() {
  const [route, set] = useState(here);
  useEffect(() => {
    const changed = () => set(here());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}

// The address of a panel; parts of the query that say nothing are left out.
export function to(path, query = {}) {
  const said = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const parts = path.map(encodeURIComponent).join("/");
  return `#/${parts}` + (said.length ? `?${new URLSearchParams(said)}` : "");
}

export const toJob = (id) => to(["jobs", id]);
