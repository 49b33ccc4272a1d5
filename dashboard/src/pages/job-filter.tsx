/** What is looked for in a queue: kept in the address, so that every search can be linked to. */

import type { JobFilterJson } from "../gen/qcollector/jobs/v1/job_bulk_pb";
import { typesOf } from "../live/job-types";
import { route, setQuery } from "../route";
import { mayManage } from "../session";
import { fromLocalInput, toLocalInput } from "../ui/format";
import { isState, STATES, stateName } from "../ui/state";

export const PAGE_SIZES = [20, 50, 100, 200] as const;
const DEFAULT_SIZE = 50;

/** The filter that the address spells. */
export function filterOf(query: URLSearchParams): JobFilterJson {
  const state = query.get("state") ?? "";
  const filter: { -readonly [name in keyof JobFilterJson]: JobFilterJson[name] } = {};
  if (isState(state)) filter.states = [stateName(state)];
  for (const [name, key] of [
    ["jobType", "type"],
    ["text", "q"],
    ["createdBy", "by"],
    ["createdAfter", "after"],
    ["createdBefore", "before"],
  ] as const) {
    const value = query.get(key);
    if (value) filter[name] = value;
  }
  return filter;
}

export function pageSizeOf(query: URLSearchParams): number {
  const size = Number(query.get("size"));
  return PAGE_SIZES.some((one) => one === size) ? size : DEFAULT_SIZE;
}

/** In words, for confirmations. */
export function filterWords(query: URLSearchParams): string {
  const state = query.get("state") ?? "";
  const parts = [`all ${isState(state) ? `${state} ` : ""}jobs`];
  for (const [key, words] of [
    ["type", "of type"],
    ["q", "with the text"],
    ["by", "created by"],
    ["after", "created at or after"],
    ["before", "created before"],
  ] as const) {
    const value = query.get(key);
    if (value) parts.push(`${words} “${value}”`);
  }
  return parts.join(" ");
}

/** Changing what is looked for begins at the first page again. */
function look(changes: Record<string, string>, keep = false): void {
  setQuery({ ...changes, page: "" }, keep);
}

export function FilterBar({ queue }: { queue: string }) {
  const { query } = route.value;
  const value = (name: string): string => query.get(name) ?? "";
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const said = (name: string): string => String(data.get(name) ?? "").trim();
    look({
      q: said("q"),
      by: said("by"),
      after: fromLocalInput(said("after")),
      before: fromLocalInput(said("before")),
    });
  };
  const narrowed = ["q", "type", "by", "after", "before"].some((name) => query.has(name));
  return (
    // The key makes the fields follow the address, also when somebody goes back.
    <form key={query.toString()} class="filters" onSubmit={submit} aria-label="Search jobs">
      <label>
        <span>Id, payload or failure</span>
        <input type="search" name="q" maxLength={200} defaultValue={value("q")} placeholder="/" />
      </label>
      <label>
        <span>Type</span>
        <select value={value("type")} onChange={(event) => look({ type: event.currentTarget.value })}>
          <option value="">all</option>
          {typesOf(queue).map((type) => (
            <option key={type.jobType} value={type.jobType}>
              {type.jobType}
            </option>
          ))}
        </select>
      </label>
      {mayManage.value && (
        <label>
          <span>Created by (id)</span>
          <input name="by" maxLength={128} defaultValue={value("by")} />
        </label>
      )}
      <label>
        <span>Created from</span>
        <input type="datetime-local" step={1} name="after" defaultValue={toLocalInput(value("after"))} />
      </label>
      <label>
        <span>to</span>
        <input type="datetime-local" step={1} name="before" defaultValue={toLocalInput(value("before"))} />
      </label>
      <button type="submit" class="primary">
        Search
      </button>
      {narrowed && (
        <button type="button" onClick={() => look({ q: "", type: "", by: "", after: "", before: "" })}>
          Clear
        </button>
      )}
    </form>
  );
}

/** The states, with how many jobs the queue holds in each. */
export function StateTabs({ counts }: { counts: Readonly<Record<string, number>> | undefined }) {
  const current = route.value.query.get("state") ?? "";
  return (
    <nav class="tabs" aria-label="Jobs by state">
      {["", ...STATES].map((state) => (
        <button
          key={state}
          type="button"
          aria-current={state === current ? "true" : undefined}
          onClick={() => look({ state })}
        >
          {state || "all"} <span class="pill">{counts === undefined ? "–" : tabCount(state, counts)}</span>
        </button>
      ))}
    </nav>
  );
}

const NUMBER = new Intl.NumberFormat("en");

function tabCount(state: string, counts: Readonly<Record<string, number>>): string {
  const all = Object.values(counts).reduce((sum, one) => sum + one, 0);
  return NUMBER.format(state === "" ? all : (counts[state] ?? 0));
}
