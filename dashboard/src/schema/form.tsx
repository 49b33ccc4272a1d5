/** A form for any schema of the contract: one control for each kind of field, nested messages, lists and maps below them. */

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { fromLocalInput, toLocalInput, words } from "../ui/format";
import { below, type Problems } from "./check";
import { initial, type Json, ordered, type Schema, shapeOf } from "./schema";

interface FieldProps {
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

/** The fields of an object, without a frame of its own. */
export function ObjectFields(props: Omit<FieldProps, "name" | "required">) {
  const { schema, root, path, value, problems, onChange } = props;
  const object = (value ?? {}) as { readonly [name: string]: Json };
  const set = (name: string, member: Json): void => {
    const next = { ...object, [name]: member };
    if (member === undefined) delete next[name];
    onChange(next);
  };
  return (
    <>
      {oneOfs(schema).map((names) => (
        <p key={names} class="hint">
          At most one of {names}.
        </p>
      ))}
      {ordered(schema).map(([name, property]) => (
        <Field
          key={name}
          name={name}
          schema={property}
          root={root}
          path={below(path, name)}
          value={object[name]}
          required={schema.required?.includes(name) ?? false}
          problems={problems}
          onChange={(member) => set(name, member)}
        />
      ))}
    </>
  );
}

function oneOfs(schema: Schema): string[] {
  return (schema.allOf ?? []).map((union) =>
    (union.oneOf ?? [])
      .flatMap((one) => one.required ?? [])
      .map(words)
      .join(", "),
  );
}

function Field(props: FieldProps) {
  const shape = shapeOf(props.schema, props.root);
  switch (shape.kind) {
    case "object":
      return <ObjectField {...props} schema={shape.schema} />;
    case "list":
      return <ListField {...props} schema={shape.schema} items={shape.items} />;
    case "map":
      return <MapField {...props} schema={shape.schema} values={shape.values} />;
    default:
      return <ScalarField {...props} schema={shape.schema} kind={shape.kind} />;
  }
}

type ScalarKind = "time" | "boolean" | "number" | "text" | "choice" | "any";

function ScalarField(props: FieldProps & { kind: ScalarKind }) {
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
  if (least !== undefined && least > -2147483648) said.push(`from ${least}`);
  if (most !== undefined && most < 2147483647) said.push(`up to ${most}`);
  if ((schema.minLength ?? 0) > 1) said.push(`at least ${schema.minLength} characters`);
  if (schema.maxLength !== undefined) said.push(`at most ${schema.maxLength} characters`);
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

interface GroupProps {
  readonly name: string;
  readonly required: boolean;
  readonly problem: string | undefined;
  readonly hint?: string | undefined;
  readonly tools: ComponentChildren;
  readonly children?: ComponentChildren;
}

function Group({ name, required, problem, hint, tools, children }: GroupProps) {
  return (
    <fieldset class="group">
      <legend>
        {words(name)} {required && <span class="must">required</span>}
      </legend>
      {hint && <p class="hint">{hint}</p>}
      {problem && <p class="field-problem">{problem}</p>}
      {children}
      <div class="tools">{tools}</div>
    </fieldset>
  );
}

function ObjectField(props: FieldProps) {
  const { name, schema, root, path, value, required, problems, onChange } = props;
  const isSet = value !== undefined && value !== null;
  return (
    <Group
      name={name}
      required={required}
      problem={problems.get(path)}
      hint={schema.description}
      tools={
        isSet ? (
          !required && (
            <button type="button" onClick={() => onChange(undefined)}>
              Leave out {words(name)}
            </button>
          )
        ) : (
          <button type="button" onClick={() => onChange(initial(schema, root))}>
            Add {words(name)}
          </button>
        )
      }
    >
      {isSet && <ObjectFields {...props} />}
    </Group>
  );
}

function ListField({
  name,
  schema,
  items,
  root,
  path,
  value,
  required,
  problems,
  onChange,
}: FieldProps & { items: Schema }) {
  const list = Array.isArray(value) ? (value as readonly Json[]) : [];
  const put = (next: readonly Json[]): void => onChange(next.length === 0 ? undefined : next);
  const item = schema.writeOnly ? { ...items, writeOnly: true } : items;
  return (
    <Group
      name={name}
      required={required}
      problem={problems.get(path)}
      hint={schema.description}
      tools={
        <button type="button" onClick={() => put([...list, initial(item, root) ?? ""])}>
          Add to {words(name)}
        </button>
      }
    >
      {list.map((element, place) => (
        <div key={`${list.length} ${place}`} class="element">
          <Field
            name={`${name} ${place + 1}`}
            schema={item}
            root={root}
            path={`${path}[${place}]`}
            value={element}
            required
            problems={problems}
            onChange={(next) => put(list.map((old, at) => (at === place ? (next ?? "") : old)))}
          />
          <button
            type="button"
            class="quiet"
            aria-label={`Remove ${words(name)} ${place + 1}`}
            onClick={() => put(list.filter((_old, at) => at !== place))}
          >
            ×
          </button>
        </div>
      ))}
    </Group>
  );
}

function MapField({
  name,
  schema,
  values,
  root,
  path,
  value,
  required,
  problems,
  onChange,
}: FieldProps & { values: Schema }) {
  const [key, setKey] = useState("");
  const map = (value ?? {}) as { readonly [name: string]: Json };
  const put = (next: { readonly [name: string]: Json }): void => {
    onChange(Object.keys(next).length === 0 ? undefined : next);
  };
  const remove = (gone: string): void => put(Object.fromEntries(Object.entries(map).filter(([one]) => one !== gone)));
  return (
    <Group
      name={name}
      required={required}
      problem={problems.get(path)}
      hint={schema.description}
      tools={
        <>
          <input
            aria-label={`Name of a new entry of ${words(name)}`}
            placeholder="name"
            value={key}
            onInput={(event) => setKey(event.currentTarget.value)}
          />
          <button
            type="button"
            disabled={key === "" || Object.hasOwn(map, key)}
            onClick={() => {
              put({ ...map, [key]: initial(values, root) ?? "" });
              setKey("");
            }}
          >
            Add to {words(name)}
          </button>
        </>
      }
    >
      {Object.entries(map).map(([one, member]) => (
        <div key={one} class="element">
          <Field
            name={one}
            schema={values}
            root={root}
            path={below(path, one)}
            value={member}
            required
            problems={problems}
            onChange={(next) => put({ ...map, [one]: next ?? "" })}
          />
          <button type="button" class="quiet" aria-label={`Remove ${one}`} onClick={() => remove(one)}>
            ×
          </button>
        </div>
      ))}
    </Group>
  );
}
