/** JSON Schema as ListJobTypes and the API's description write it: what the board reads of it. */

export interface Schema {
  readonly type?: string | readonly string[];
  readonly title?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: Schema;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly { readonly oneOf?: readonly { readonly required?: readonly string[] }[] }[];
  readonly enum?: readonly (string | number)[];
  readonly const?: unknown;
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly writeOnly?: boolean;
  readonly contentEncoding?: string;
  readonly contentSchema?: Schema;
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
}

/** What a form shows for a schema. */
export type Shape =
  | { readonly kind: "object"; readonly schema: Schema }
  | { readonly kind: "list"; readonly schema: Schema; readonly items: Schema }
  | { readonly kind: "map"; readonly schema: Schema; readonly values: Schema }
  | { readonly kind: "time" | "boolean" | "number" | "text" | "choice" | "any"; readonly schema: Schema };

export type Json = string | number | boolean | null | undefined | readonly Json[] | { readonly [name: string]: Json };

/** The schema behind a reference into the root's definitions. */
export function resolved(schema: Schema, root: Schema): Schema {
  const name = schema.$ref?.replace("#/$defs/", "");
  const target = name === undefined ? undefined : root.$defs?.[name];
  return target ? inPlaceOf(schema, target) : schema;
}

/** What is said of a field holds for what stands in its place, too. */
function inPlaceOf(schema: Schema, target: Schema): Schema {
  const description = [schema.description, target.description].filter(Boolean).join(" ");
  return { ...target, ...(schema.writeOnly && { writeOnly: true }), ...(description && { description }) };
}

export function shapeOf(given: Schema, root: Schema): Shape {
  const schema = resolved(given, root);
  // A list is "an array, or its only element", and a time "a date, or a date with a time".
  const array = schema.anyOf?.find((one) => one.type === "array");
  if (array) return { kind: "list", schema: inPlaceOf(schema, array), items: array.items ?? {} };
  if (schema.type === "array" && schema.items) return { kind: "list", schema, items: schema.items };
  if (schema.anyOf?.some((one) => one.format === "date-time")) return { kind: "time", schema };
  if (schema.enum) return { kind: "choice", schema };
  if (schema.type === "object") {
    if (schema.properties) return { kind: "object", schema };
    if (typeof schema.additionalProperties === "object")
      return { kind: "map", schema, values: schema.additionalProperties };
    return { kind: "any", schema };
  }
  if (schema.type === "boolean") return { kind: "boolean", schema };
  if (schema.type === "number" || schema.type === "integer") return { kind: "number", schema };
  if (isText(schema.type)) return { kind: "text", schema };
  return { kind: "any", schema };
}

function isText(type: Schema["type"]): boolean {
  return type === "string" || (Array.isArray(type) && type.includes("string"));
}

/** Properties as a form shows them: what must be set first. */
export function ordered(schema: Schema): [string, Schema][] {
  const must = new Set(schema.required);
  return Object.entries(schema.properties ?? {}).sort(
    ([one], [other]) => Number(must.has(other)) - Number(must.has(one)),
  );
}

/** What the contract says of the fields of its messages, by the message's name, in the contract's order. */
export type Comments = Readonly<
  Record<string, { readonly properties?: Readonly<Record<string, { readonly description?: string }>> }>
>;

/** The schema of a message with those comments. What they do not know is in the order of its names. */
export function commented(schema: Schema, message: string, comments: Comments): Schema {
  const one = (part: Schema, name: string): Schema => {
    const said = comments[name.split(".").at(-1) ?? ""]?.properties ?? {};
    const place = (property: string): number => Object.keys({ ...said, [property]: {} }).indexOf(property);
    const properties = Object.entries(part.properties ?? {})
      .sort(([a], [b]) => place(a) - place(b) || a.localeCompare(b))
      .map(([property, of]): [string, Schema] => [property, inPlaceOf(said[property] ?? {}, of)]);
    return part.properties ? { ...part, properties: Object.fromEntries(properties) } : part;
  };
  const parts = Object.entries(schema.$defs ?? {}).map(([name, part]): [string, Schema] => [name, one(part, name)]);
  return { ...one(schema, message), $defs: Object.fromEntries(parts) };
}

/** What a form begins with where the schema wants something. */
export function initial(given: Schema, root: Schema): Json {
  const { kind, schema } = shapeOf(given, root);
  if (kind === "object") {
    const value: Record<string, Json> = {};
    for (const [name, property] of ordered(schema)) {
      if (schema.required?.includes(name)) value[name] = initial(property, root);
    }
    return value;
  }
  if (kind === "list") return schema.minItems ? [initial(schema.items ?? {}, root) ?? ""] : [];
  return undefined;
}

/**
 * A payload as the API shows it, as `data` that the form takes: enum values by their words, unset ones left out, and
 * masked ones too, which somebody has to type again.
 */
export function fromPayload(value: unknown, given: Schema, root: Schema): Json {
  const shape = shapeOf(given, root);
  if (shape.schema.writeOnly || value === null || value === "") return undefined;
  switch (shape.kind) {
    case "object":
      return members(value, (name, member) => {
        const property = shape.schema.properties?.[name];
        return property === undefined ? undefined : fromPayload(member, property, root);
      });
    case "list":
      if (!Array.isArray(value) || value.length === 0) return undefined;
      return value.map((element: unknown) => fromPayload(element, shape.items, root));
    case "map": {
      const pairs = members(value, (_name, member) => fromPayload(member, shape.values, root));
      return Object.keys(pairs).length > 0 ? pairs : undefined;
    }
    case "choice":
      return wordOf(value, shape.schema);
    case "number":
      // Zero is what nobody set, where the rules do not admit it.
      return value === 0 && (shape.schema.minimum ?? 0) > 0 ? undefined : (value as Json);
    default:
      return value as Json;
  }
}

/** A payload as the API shows it, with the words of enum values instead of their names in the contract. */
export function worded(value: unknown, given: Schema, root: Schema): unknown {
  const shape = shapeOf(given, root);
  const each = (of: (name: string) => Schema): unknown =>
    Object.fromEntries(Object.entries(value ?? {}).map(([name, member]) => [name, worded(member, of(name), root)]));
  if (shape.kind === "list") {
    return Array.isArray(value) ? value.map((element: unknown) => worded(element, shape.items, root)) : value;
  }
  if (shape.kind === "choice") return value === null ? value : (wordOf(value, shape.schema) ?? null);
  if (typeof value !== "object" || value === null) return value;
  if (shape.kind === "object") return each((name) => shape.schema.properties?.[name] ?? {});
  return shape.kind === "map" ? each(() => shape.values) : value;
}

function wordOf(value: unknown, schema: Schema): string | number | undefined {
  return schema.enum?.find((word) => word === value || String(value).toLowerCase().endsWith(`_${word}`));
}

function members(value: unknown, take: (name: string, member: unknown) => Json): { [name: string]: Json } {
  const taken: { [name: string]: Json } = {};
  for (const [name, member] of Object.entries(value ?? {})) {
    const one = take(name, member);
    if (one !== undefined) taken[name] = one;
  }
  return taken;
}
