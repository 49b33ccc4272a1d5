/** One control for each kind of plain field, with what is said of it and the rules that it is held to. */

import { useId, useState } from "preact/hooks";
import { exact, fromLocalInput, toLocalInput, words } from "../ui/format";
import type { Problems } from "./check";
import type { Json, Schema, Shape } from "./schema";

export interface FieldProps {
  readonly name: string;
  readonly schema: Schema;
  readonly root: Schema;
  /** As the service spells it in what it finds wrong. */
  readonly path: string;
  readonly value: Json;
  readonly required: boolean;
  readonly problems: Problems;
  readonly onChange: (value: Json) => void;
}

export type ScalarKind = Exclude<Shape["kind"], "object" | "list" | "map">;

export function ScalarField(props: FieldProps & { kind: ScalarKind }) {
  const { name, schema, path, required, problems } = props;
  const id = useId();
  const problem = problems.get(path);
  const limits = limitsOf(schema);
  return (
    <div class="field">
      <label for={id}>
        {words(name)} {required && <span class="must">required</span>}
      </label>
      <Control {...props} id={id} described={`${id}-hint ${id}-problem`} invalid={problem !== undefined} />
      <p id={`${id}-hint`} class="hint">
        {schema.description} {limits}
      </p>
      <p id={`${id}-problem`} class="field-problem">
        {problem}
      </p>
    </div>
  );
}

function limitsOf(schema: Schema): string {
  const said: string[] = [];
  if (schema.writeOnly) said.push("sensitive: never shown again");
  const least = schema.minimum ?? schema.exclusiveMinimum;
  const most = schema.maximum ?? schema.exclusiveMaximum;
  // The bounds of 32 bits tell nobody anything.
  if (least !== undefined && least > -2147483648) said.push(`from ${exact(least)}`);
  if (most !== undefined && most < 2147483647) said.push(`up to ${exact(most)}`);
  if (schema.minLength !== undefined && schema.minLength > 1)
    said.push(`at least ${exact(schema.minLength)} characters`);
  if (schema.maxLength !== undefined) said.push(`at most ${exact(schema.maxLength)} characters`);
  if (schema.format) said.push(schema.format);
  if (schema.contentEncoding) said.push(schema.contentEncoding);
  return sentence(said.join(", "));
}

function sentence(text: string): string {
  return text && `${text[0]?.toUpperCase()}${text.slice(1)}.`;
}

interface ControlProps extends FieldProps {
  readonly kind: ScalarKind;
  readonly id: string;
  readonly described: string;
  readonly invalid: boolean;
}

function Control({ kind, schema, id, described, invalid, value, required, onChange }: ControlProps) {
  const common = { id, "aria-describedby": described, "aria-invalid": invalid, "aria-required": required };
  switch (kind) {
    case "boolean":
      return (
        <select
          {...common}
          value={String(value ?? "")}
          onChange={(event) => onChange(truth(event.currentTarget.value))}
        >
          <option value="">not set</option>
          <option value="true">yes</option>
          <option value="false">no</option>
        </select>
      );
    case "choice":
      return (
        <select
          {...common}
          value={String(value ?? "")}
          onChange={(event) => onChange(schema.enum?.find((word) => String(word) === event.currentTarget.value))}
        >
          <option value="">not set</option>
          {schema.enum
            ?.filter((word) => word !== "")
            .map((word) => (
              <option key={word} value={String(word)}>
                {String(word)}
              </option>
            ))}
        </select>
      );
    case "number":
      return (
        <input
          {...common}
          type="number"
          step={schema.type === "integer" ? 1 : "any"}
          value={typeof value === "number" ? value : ""}
          onInput={(event) => {
            const { value: text, valueAsNumber } = event.currentTarget;
            onChange(text === "" || Number.isNaN(valueAsNumber) ? undefined : valueAsNumber);
          }}
        />
      );
    case "time":
      return (
        <input
          {...common}
          type="datetime-local"
          step={1}
          value={toLocalInput(String(value ?? ""))}
          onChange={(event) => onChange(fromLocalInput(event.currentTarget.value) || undefined)}
        />
      );
    case "any":
      return <JsonControl common={common} value={value} onChange={onChange} />;
    default:
      return <TextControl common={common} schema={schema} value={value} onChange={onChange} />;
  }
}

function truth(word: string): boolean | undefined {
  return word === "" ? undefined : word === "true";
}

/** From so many characters on a text gets several lines. */
const LONG_TEXT = 5000;

type Common = Readonly<Record<string, string | boolean>>;

function TextControl({
  common,
  schema,
  value,
  onChange,
}: Pick<FieldProps, "schema" | "value" | "onChange"> & { common: Common }) {
  const text = String(value ?? "");
  const take = (next: string): void => onChange(next === "" ? undefined : next);
  if (!schema.writeOnly && (schema.maxLength ?? 0) > LONG_TEXT && !(schema.pattern ?? "").includes("\\r")) {
    return <textarea {...common} value={text} onInput={(event) => take(event.currentTarget.value)} />;
  }
  const rest = { ...common, spellcheck: false, value: text };
  return schema.writeOnly ? (
    <input {...rest} type="password" autocomplete="new-password" onInput={(event) => take(event.currentTarget.value)} />
  ) : (
    <input {...rest} type="text" autocomplete="off" onInput={(event) => take(event.currentTarget.value)} />
  );
}

function JsonControl({ common, value, onChange }: Pick<FieldProps, "value" | "onChange"> & { common: Common }) {
  const [text, setText] = useState(value === undefined ? "" : JSON.stringify(value, null, 2));
  const [wrong, setWrong] = useState(false);
  const take = (next: string): void => {
    setText(next);
    try {
      onChange(next.trim() === "" ? undefined : (JSON.parse(next) as Json));
      setWrong(false);
    } catch {
      setWrong(true);
    }
  };
  return (
    <>
      <textarea
        {...common}
        class="code"
        placeholder="JSON"
        value={text}
        onInput={(event) => take(event.currentTarget.value)}
      />
      {wrong && <p class="field-problem">This is not JSON yet, and is not taken.</p>}
    </>
  );
}
