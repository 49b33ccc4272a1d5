import { afterEach, expect, test, vi } from "vitest";

const listJobs = vi.hoisted(() => vi.fn());
vi.mock("../api/calls", () => ({ listJobs }));
vi.mock("./refresh", () => ({ useLoaded: vi.fn() }));

const { pageWithJobs } = await import("./search");
const { signal } = new AbortController();
const query = { filter: { text: "needle" }, pageSize: 20 };

afterEach(() => listJobs.mockReset());

test("a search goes on over empty pages until it finds jobs, and tells how many it looked at", async () => {
  listJobs
    .mockResolvedValueOnce({ nextPageToken: "a", scanned: 10_000 })
    .mockResolvedValueOnce({ jobs: [], nextPageToken: "b", scanned: 10_000 })
    .mockResolvedValueOnce({ jobs: [{ id: "found" }], nextPageToken: "c", scanned: 7 });
  const told: number[] = [];
  const page = await pageWithJobs("test:work", query, (scanned) => told.push(scanned) > 0, signal);
  expect(page).toMatchObject({ jobs: [{ id: "found" }], nextPageToken: "c" });
  expect(told).toEqual([10_000, 20_000]);
  expect(listJobs.mock.calls.map(([, asked]) => asked.pageToken)).toEqual([undefined, "a", "b"]);
});

test("a search that is stopped can be gone on with from where it came to", async () => {
  listJobs.mockResolvedValueOnce({ nextPageToken: "a", scanned: 10_000 });
  const page = await pageWithJobs("test:work", query, () => false, signal);
  expect(page.nextPageToken).toBe("a");
  expect(listJobs).toHaveBeenCalledTimes(1);
});

test("a search that finds nothing ends with the last page", async () => {
  listJobs.mockResolvedValueOnce({ nextPageToken: "a", scanned: 9 }).mockResolvedValueOnce({ scanned: 1 });
  const page = await pageWithJobs("test:work", query, () => true, signal);
  expect(page.jobs ?? []).toEqual([]);
  expect(listJobs).toHaveBeenCalledTimes(2);
});
