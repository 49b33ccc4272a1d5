/** A form for any schema of the contract: a control for each field, nested messages, lists and maps below them. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { words } from "../ui/format";
import { below } from "./check";
import { type FieldProps, ScalarField } from "./controls";
import { initial, type Json, ordered, type Schema, shapeOf } from "./schema";

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
        <button
          type="button"
          aria-label={`Add to ${words(name)}`}
          onClick={() => put([...list, initial(item, root) ?? ""])}
        >
          Add
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
            aria-label={`Add to ${words(name)}`}
            disabled={key === "" || Object.hasOwn(map, key)}
            onClick={() => {
              put({ ...map, [key]: initial(values, root) ?? "" });
              setKey("");
            }}
          >
            Add
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
