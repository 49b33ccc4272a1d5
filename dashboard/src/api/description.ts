/** What the board reads of the API's own description (OpenAPI), and its schemas in words. */

import type { Schema } from "../schema/schema";
import { exact } from "../ui/format";
import { request } from "./client";

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query";
  readonly required: boolean;
  readonly description?: string;
  readonly schema: Schema;
}

type Content = Readonly<Record<string, { readonly schema?: Schema }>>;

export interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description?: string; readonly content?: Content }>>;
}

export interface Description {
  readonly info: { readonly description: string; readonly version: string };
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

export const DESCRIPTION_PATH = "/api/openapi.json";

export const getDescription = (signal?: AbortSignal) => request<Description>(DESCRIPTION_PATH, signal && { signal });

/** The name of the component that a schema refers to. */
function refersTo(schema: Schema): string | undefined {
  return schema.$ref?.split("/").at(-1);
}

/** The component somewhere in a schema that has more to show than its name: its own, its elements', its values'. */
export function partOf(schema: Schema): string | undefined {
  const values = typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined;
  const inner = schema.items ?? values ?? schema.contentSchema;
  return refersTo(schema) ?? (inner && partOf(inner));
}

/** The type in words, such as "list of Job" or "integer, 0 to 500". */
export function inWords(schema: Schema): string {
  const name = refersTo(schema);
  if (name !== undefined) return name;
  if (schema.contentSchema) return `events, each a ${inWords(schema.contentSchema)}`;
  if (schema.anyOf) return schema.anyOf.map(inWords).join(" or ");
  if (schema.items) return [`list of ${inWords(schema.items)}`, ...limits(schema)].join(", ");
  if (typeof schema.additionalProperties === "object") return `map of ${inWords(schema.additionalProperties)}`;
  return [
    schema.format === "date-time" ? "time" : [schema.type ?? "anything"].flat().join(" or "),
    ...limits(schema),
  ].join(", ");
}

function limits(schema: Schema): string[] {
  const whole = schema.format === "int32" && schema.minimum === -(2 ** 31);
  return [
    span(schema.minLength, schema.maxLength, " characters"),
    whole ? "" : span(schema.minimum, schema.maximum, ""),
    span(schema.minItems, schema.maxItems, " elements"),
    schema.enum ? `one of ${schema.enum.map((one) => (one === "" ? "nothing" : one)).join(", ")}` : "",
    schema.pattern && !schema.format ? `like ${schema.pattern}` : "",
    schema.writeOnly ? "never shown" : "",
  ].filter(Boolean);
}

function span(low: number | undefined, high: number | undefined, unit: string): string {
  if (low !== undefined && high !== undefined) return `${exact(low)} to ${exact(high)}${unit}`;
  if (high !== undefined) return `at most ${exact(high)}${unit}`;
  return low === undefined ? "" : `at least ${exact(low)}${unit}`;
}
