/** A message of the contract as its fields: names and values, nested ones below, the unset ones named last. */

import type { ComponentChildren } from "preact";
import { dateTime, words } from "./format";

type Json = unknown;

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
/** Of a list, so many elements are shown; the JSON beside has all. */
const ELEMENTS_SHOWN = 50;

export function Fields({ value }: { value: Json }) {
  if (typeof value !== "object" || value === null) return <Value value={value} />;
  const entries = Object.entries(value);
  const set = entries.filter(([, member]) => !isUnset(member));
  const unset = entries.filter(([, member]) => isUnset(member)).map(([name]) => name);
  return (
    <>
      {set.length > 0 && (
        <dl class="fields">
          {set.map(([name, member]) => (
            <div key={name} class={isNested(member) ? "nested" : undefined}>
              <dt title={name}>{words(name)}</dt>
              <dd>
                <Value value={member} />
              </dd>
            </div>
          ))}
        </dl>
      )}
      {unset.length > 0 && <p class="hint">Not set: {unset.map(words).join(", ")}</p>}
      {entries.length === 0 && <p class="hint">Nothing in it.</p>}
    </>
  );
}

/** What JSON prints for fields that nobody set. A number or a truth value may have been meant. */
function isUnset(value: Json): boolean {
  if (value === null || value === "") return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

/** Whether it wants the whole width below its name. */
function isNested(value: Json): boolean {
  return Array.isArray(value) ? value.some((element) => typeof element === "object") : typeof value === "object";
}

function Value({ value }: { value: Json }): ComponentChildren {
  if (Array.isArray(value)) return <List elements={value} />;
  if (typeof value === "object" && value !== null) return <Fields value={value} />;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "string") return <span class="number">{rounded(value)}</span>;
  if (TIME.test(value)) return <time dateTime={value}>{dateTime(value)}</time>;
  return value.includes("\n") ? <pre class="text">{value}</pre> : value;
}

/** Three places behind the point are enough to read; the JSON beside has all. */
function rounded(value: Json): string {
  return typeof value === "number" ? String(Math.round(value * 1000) / 1000) : String(value);
}

function List({ elements }: { elements: readonly Json[] }) {
  const shown = elements.slice(0, ELEMENTS_SHOWN);
  return (
    <ol class={shown.some((element) => typeof element === "object") ? "elements" : "elements plain"}>
      {shown.map((element, place) => (
        <li key={place}>
          <Value value={element} />
        </li>
      ))}
      {elements.length > shown.length && <li class="hint">and {elements.length - shown.length} more</li>}
    </ol>
  );
}

/** The same as it came, for those who want to copy it. */
export function RawJson({ value }: { value: Json }) {
  return (
    <details class="raw">
      <summary>JSON</summary>
      <pre>{JSON.stringify(value, null, 2)}</pre>
    </details>
  );
}
