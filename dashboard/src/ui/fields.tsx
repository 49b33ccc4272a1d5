/** A message of the contract as its fields: names and values, nested ones below, the unset ones named last. */

import type { ComponentChildren } from "preact";
import { amount, dateTime, words } from "./format";
import { TableFrame } from "./pieces";

type Json = unknown;
type Members = Readonly<Record<string, Json>>;

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
/** Of a list, so many elements are shown; the JSON beside has all. */
const ELEMENTS_SHOWN = 50;
/** What stands in a message beside its fields, such as its type. */
const NO_FIELD = /^@/;

export function Fields({ value }: { value: Json }) {
  if (typeof value !== "object" || value === null) return <Value name="" value={value} />;
  const entries = Object.entries(value).filter(([name]) => !NO_FIELD.test(name));
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
                <Value name={name} value={member} />
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
  if (value === undefined || value === null || value === "") return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

/** Whether it wants the whole width below its name. */
function isNested(value: Json): boolean {
  return Array.isArray(value) ? value.some((element) => typeof element === "object") : typeof value === "object";
}

function Value({ name, value }: { name: string; value: Json }): ComponentChildren {
  if (Array.isArray(value)) return <List name={name} elements={value} />;
  if (typeof value === "object" && value !== null) return <Fields value={value} />;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") {
    return (
      <span class="number" title={String(value)}>
        {amount(name, value)}
      </span>
    );
  }
  if (typeof value !== "string") return String(value);
  if (TIME.test(value)) return <time dateTime={value}>{dateTime(value)}</time>;
  return value.includes("\n") ? <pre class="text">{value}</pre> : value;
}

function List({ name, elements }: { name: string; elements: readonly Json[] }) {
  const shown = elements.slice(0, ELEMENTS_SHOWN);
  const columns = columnsOf(shown);
  return (
    <>
      {columns ? (
        <Rows columns={columns} rows={shown as readonly Members[]} />
      ) : (
        <ol class={shown.some((element) => typeof element === "object") ? "elements" : "elements plain"}>
          {shown.map((element, place) => (
            <li key={place}>
              <Value name={name} value={element} />
            </li>
          ))}
        </ol>
      )}
      {elements.length > shown.length && <p class="hint">and {elements.length - shown.length} more</p>}
    </>
  );
}

/** The names that all elements share, where a table shows them best: several alike, of plain values alone. */
function columnsOf(elements: readonly Json[]): string[] | undefined {
  const names = Object.keys(elements[0] ?? {});
  if (elements.length < 2 || names.length === 0) return undefined;
  const isRow = (element: Json): boolean =>
    isNested(element) &&
    Object.keys(element ?? {}).join() === names.join() &&
    Object.values(element as Members).every((member) => isUnset(member) || !isNested(member));
  return elements.every(isRow) ? names : undefined;
}

function Rows({ columns, rows }: { columns: readonly string[]; rows: readonly Members[] }) {
  return (
    <div class="rows">
      <TableFrame label={columns.map(words).join(", ")}>
        <thead>
          <tr>
            {columns.map((name) => (
              <th key={name} scope="col">
                {words(name)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, place) => (
            <tr key={place}>
              {columns.map((name) => (
                <td key={name}>{isUnset(row[name]) ? "–" : <Value name={name} value={row[name]} />}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </TableFrame>
    </div>
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
