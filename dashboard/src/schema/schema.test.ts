import { describe, expect, it } from "vitest";
import { check } from "./check";
import { fromPayload, initial, type Schema, shapeOf } from "./schema";

const ROOT: Schema = {
  type: "object",
  required: ["to", "format"],
  properties: {
    to: { anyOf: [{ type: "array", minItems: 1, items: { $ref: "#/$defs/Address" } }, { $ref: "#/$defs/Address" }] },
    format: { type: "string", enum: ["csv", "json"] },
    level: { type: "integer", minimum: 1, maximum: 9 },
    secret: { type: "string", writeOnly: true },
    when: { type: "string", anyOf: [{ format: "date" }, { format: "date-time" }] },
    labels: { type: "object", additionalProperties: { type: "string", maxLength: 3 } },
  },
  $defs: {
    Address: { type: "object", required: ["mail"], properties: { mail: { type: "string", pattern: "^[^@]+@[^@]+$" } } },
  },
};

describe("a form of a schema", () => {
  it("knows each kind of field", () => {
    const kinds = Object.entries(ROOT.properties ?? {}).map(([name, one]) => [name, shapeOf(one, ROOT).kind]);
    expect(Object.fromEntries(kinds)).toEqual({
      to: "list",
      format: "choice",
      level: "number",
      secret: "text",
      when: "time",
      labels: "map",
    });
  });

  it("begins with what must be set", () => {
    expect(initial(ROOT, ROOT)).toEqual({ to: [{ mail: undefined }], format: undefined });
  });

  it("takes a job's payload over: enum values by their words, masked and unset ones left out", () => {
    const payload = {
      to: [{ mail: "a@b" }],
      format: "EXPORT_FORMAT_CSV",
      level: 0,
      secret: "•••",
      when: "",
      labels: {},
    };
    expect(fromPayload(payload, ROOT, ROOT)).toEqual({ to: [{ mail: "a@b" }], format: "csv" });
  });

  it("names every field that breaks a rule by the service's own paths", () => {
    const problems = check({ to: [{ mail: "nobody" }, {}], level: 10, labels: { "a b": "long" } }, ROOT, "data");
    expect([...problems.keys()].sort()).toEqual([
      "data.format",
      'data.labels["a b"]',
      "data.level",
      "data.to[0].mail",
      "data.to[1].mail",
    ]);
  });

  it("leaves a pattern that it cannot read to the service", () => {
    expect(check("x", { type: "string", pattern: "(?i)[" }, "data").size).toBe(0);
  });
});
