import { describe, expect, it } from "vitest";
import { check } from "./check";
import { commented, fromPayload, initial, ordered, type Schema, shapeOf, worded } from "./schema";

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

  it("shows a payload in the words of its enums, and says of none that it is unspecified", () => {
    const payload = {
      to: [{ mail: "a@b" }],
      format: "EXPORT_FORMAT_CSV",
      labels: { a: "EXPORT_FORMAT_CSV" },
      level: 1,
    };
    expect(worded(payload, ROOT, ROOT)).toEqual({ ...payload, format: "csv" });
    expect(worded({ format: "EXPORT_FORMAT_UNSPECIFIED", more: 1 }, ROOT, ROOT)).toEqual({ format: null, more: 1 });
  });

  it("says of each field what the contract says of it, in the contract's order", () => {
    const comments = {
      Export: { properties: { level: { description: "How far." }, to: { description: "Whom to tell." } } },
      Address: { properties: { mail: { description: "Where the mail goes." } } },
    };
    const root = commented(ROOT, "some.package.Export", comments);
    const to = shapeOf(root.properties?.to ?? {}, root);
    expect(to.schema.description).toBe("Whom to tell.");
    expect(to.kind === "list" && shapeOf(to.items, root).schema.properties?.mail?.description).toBe(
      "Where the mail goes.",
    );
    expect(ordered(root).map(([name]) => name)).toEqual(["to", "format", "level", "labels", "secret", "when"]);
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
