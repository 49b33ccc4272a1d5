/** What is wrong with `data` by its schema, told before the service is asked. The service has the last word. */

import { type Json, type Schema, shapeOf } from "./schema";

/** By the path of the field, as the service spells it: `data.to[0].address`. */
export type Problems = ReadonlyMap<string, string>;

export function check(value: Json, schema: Schema, path: string): Problems {
  const problems = new Map<string, string>();
  visit(value, schema, schema, path, problems);
  return problems;
}

export function below(path: string, name: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`;
}

function visit(value: Json, given: Schema, root: Schema, path: string, problems: Map<string, string>): void {
  if (value === undefined || value === null) return;
  const shape = shapeOf(given, root);
  const { schema } = shape;
  const say = (text: string): void => void problems.set(path, text);
  switch (shape.kind) {
    case "object": {
      const object = value as { readonly [name: string]: Json };
      for (const name of schema.required ?? []) {
        if (isEmpty(object[name])) problems.set(below(path, name), "is required; set it");
      }
      for (const [name, property] of Object.entries(schema.properties ?? {})) {
        visit(object[name], property, root, below(path, name), problems);
      }
      return;
    }
    case "list": {
      const list = value as readonly Json[];
      if (list.length < (schema.minItems ?? 0)) say(`must hold at least ${schema.minItems}; add some`);
      if (list.length > (schema.maxItems ?? Number.POSITIVE_INFINITY))
        say(`must hold at most ${schema.maxItems}; split it`);
      list.forEach((element, place) => {
        visit(element, shape.items, root, `${path}[${place}]`, problems);
      });
      return;
    }
    case "map":
      for (const [name, member] of Object.entries(value as object)) {
        visit(member as Json, shape.values, root, below(path, name), problems);
      }
      return;
    case "number":
      checkNumber(value, schema, say);
      return;
    case "text":
      checkText(String(value), schema, say);
      return;
    default:
      return;
  }
}

function isEmpty(value: Json): boolean {
  return value === undefined || value === null || value === "";
}

function checkNumber(value: Json, schema: Schema, say: (text: string) => void): void {
  if (typeof value !== "number") say("must be a number");
  else if (schema.type === "integer" && !Number.isInteger(value)) say("must be a whole number");
  else if (value < (schema.minimum ?? -Infinity)) say(`must be at least ${schema.minimum}`);
  else if (value > (schema.maximum ?? Infinity)) say(`must be at most ${schema.maximum}`);
  else if (value <= (schema.exclusiveMinimum ?? -Infinity)) say(`must be more than ${schema.exclusiveMinimum}`);
  else if (value >= (schema.exclusiveMaximum ?? Infinity)) say(`must be less than ${schema.exclusiveMaximum}`);
}

function checkText(value: string, schema: Schema, say: (text: string) => void): void {
  const letters = [...value].length;
  if (letters < (schema.minLength ?? 0)) say(`must have at least ${schema.minLength} characters; write more`);
  else if (letters > (schema.maxLength ?? Infinity))
    say(`must have at most ${schema.maxLength} characters; shorten it`);
  else if (schema.pattern !== undefined && !matches(value, schema.pattern)) say("is not written as it must be");
}

function matches(value: string, pattern: string): boolean {
  try {
    return new RegExp(pattern, "u").test(value);
  } catch {
    // The contract's patterns are RE2; one that this engine does not read is left to the service.
    return true;
  }
}
