import { expect, it } from "vitest";
import { apiError } from "./errors";
import { events } from "./events";

async function eventsOf(...chunks: readonly Uint8Array[]): Promise<string[]> {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  const found: string[] = [];
  for await (const event of events(body)) found.push(event);
  return found;
}

it("events are whole, wherever the network cuts them, also within a letter", async () => {
  const bytes = new TextEncoder().encode('data: {"a":"é"}\n\ndata: {"b":2}\n\ndata: {"cut');
  for (let place = 0; place <= bytes.length; place += 1) {
    expect(await eventsOf(bytes.slice(0, place), bytes.slice(place))).toEqual(['{"a":"é"}', '{"b":2}']);
  }
});

it("an error tells reason, fields and when to come back; a body that is none still tells the status", () => {
  const type = "type.googleapis.com/google.rpc.";
  const error = apiError(400, {
    message: "no",
    details: [
      { "@type": `${type}ErrorInfo`, reason: "REQUEST_INVALID" },
      { "@type": `${type}BadRequest`, fieldViolations: [{ field: "data.to", description: "is required" }] },
      { "@type": `${type}RetryInfo`, retryDelay: "2s" },
    ],
  });
  expect(error).toMatchObject({
    reason: "REQUEST_INVALID",
    violations: [{ field: "data.to", description: "is required" }],
    retryAfter: 2,
  });
  expect(apiError(502, undefined)).toMatchObject({ status: 502, away: true });
});
