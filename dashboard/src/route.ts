/** Where the board is: the part of the address behind `#`, so that every view can be linked to and none needs the server. */

import { computed, signal } from "@preact/signals";

export interface Route {
  /** Decoded parts of the path. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

function parseHash(hash: string): Route {
  const [path = "", query = ""] = splitOnce(hash.replace(/^#/, ""), "?");
  return { path: path.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

function splitOnce(text: string, at: string): [string, string] {
  const place = text.indexOf(at);
  return place < 0 ? [text, ""] : [text.slice(0, place), text.slice(place + 1)];
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const hash = signal(location.hash);
addEventListener("hashchange", () => {
  hash.value = location.hash;
});

export const route = computed(() => parseHash(hash.value));

/** One part of a path. A colon may stay as it is, which keeps queues' names readable. */
export function segment(part: string): string {
  return encodeURIComponent(part).replaceAll("%3A", ":");
}

type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The link to a view. Empty values are left out of the query. */
export function href(path: readonly string[], query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of typeof value === "string" ? [value] : (value ?? [])) if (one !== "") parameters.append(name, one);
  }
  const text = parameters.toString();
  return `#/${path.map(segment).join("/")}${text && `?${text}`}`;
}

export function go(link: string): void {
  location.hash = link;
}

/** Changes part of the query of the view that is shown. With `keep`, going back leads past it. */
export function setQuery(changes: Query, keep = false): void {
  const { path, query } = route.value;
  const next: Record<string, string | readonly string[] | undefined> = {};
  for (const name of new Set(query.keys())) next[name] = query.getAll(name);
  const link = href(path, { ...next, ...changes });
  if (link === location.hash) return;
  if (keep) {
    history.replaceState(null, "", link);
    hash.value = location.hash;
  } else {
    go(link);
  }
}

export const links = {
  overview: href([]),
  queue: (name: string, query: Query = {}) => href(["queues", name], query),
  job: (queue: string, id: string) => href(["queues", queue, "jobs", id]),
  schedules: href(["schedules"]),
  schedule: (name: string) => href(["schedules", name]),
  scheduleEdit: (name: string) => href(["schedules", name, "edit"]),
  // No schedule can have this name: it begins with an underscore.
  scheduleNew: href(["schedules", "_new"]),
  deadLetters: href(["dead-letters"]),
  workers: href(["workers"]),
  enqueue: (query: Query = {}) => href(["enqueue"], query),
  api: href(["api"]),
};
