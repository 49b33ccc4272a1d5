import { expect, it } from "vitest";
import { amount, dateTimeIn } from "./format";

it("numbers are told in their units, where the contract's names have one", () => {
  expect(amount("processingTime", 201.844)).toBe("202 ms");
  expect(amount("maxAge", 86_400_000)).toBe("1 d");
  expect(amount("fileSize", 481_955)).toBe("470.7 KiB");
  expect(amount("batchSize", 10)).toBe("10");
  expect(amount("averageCompletionTime", 4.57912)).toBe("4.579");
});

it("a time is told where the clocks of its zone show it, and somehow in a zone that nobody knows", () => {
  expect(dateTimeIn("Asia/Tokyo", "2026-11-30T03:15:00Z")).toBe("30 Nov 2026, 12:15:00 GMT+9");
  expect(dateTimeIn("Atlantis", "2026-11-30T03:15:00Z")).toContain("30 Nov 2026");
});
