/** What all queues do now: one stream for the whole board, with the last minutes kept for the graphs. */

import { computed, effect, signal } from "@preact/signals";
import { queueEventsPath } from "../api/calls";
import { follow } from "../api/stream";
import type { QueueStatsJson } from "../gen/qcollector/jobs/v1/queue_pb";
import type { WatchQueuesResponseJson } from "../gen/qcollector/jobs/v1/queue_requests_pb";
import { session } from "../session";

/** How far back the graphs go. */
const HISTORY_SECONDS = 300;
const SAMPLE_MS = 1000;

/** A moment of one queue, or of all together. */
export interface Sample {
  /** Seconds since 1970. */
  readonly time: number;
  readonly completedPerSecond: number;
  readonly failedPerSecond: number;
  readonly waitP95: number;
  readonly runP95: number;
}

/** The latest figures, by the queue's name; null until they have come. */
export const queues = signal<ReadonlyMap<string, QueueStatsJson> | null>(null);

export const queueList = computed(() => [...(queues.value?.values() ?? [])]);

/** Grows by one sample a second for each queue and for `""`, which is all of them. */
export const history = signal<ReadonlyMap<string, readonly Sample[]>>(new Map());

interface Tally {
  readonly at: number;
  readonly completed: number;
  readonly failed: number;
}
let tallies = new Map<string, Tally>();
/** Whether the figures are those of now. Over a time without a stream the graph shows the mean, and no leap at its end. */
let current = false;

/** Follows all queues while somebody is signed in. */
export function watchQueues(): void {
  effect(() => {
    queues.value = null;
    history.value = new Map();
    tallies = new Map();
    if (session.value === null) return;
    const end = new AbortController();
    const timer = setInterval(sample, SAMPLE_MS);
    void follow<WatchQueuesResponseJson>(
      {
        name: "the live figures of the queues",
        path: queueEventsPath,
        take: (message) => {
          const next = new Map(queues.peek());
          for (const queue of message.queues ?? []) next.set(queue.queueName ?? "", queue);
          queues.value = next;
          current = true;
          return false;
        },
        closed: () => {
          current = false;
        },
        refused: () => undefined,
      },
      end.signal,
    );
    return () => {
      clearInterval(timer);
      end.abort();
    };
  });
}

function sample(): void {
  const now = Date.now();
  const list = [...(queues.peek()?.values() ?? [])];
  if (list.length === 0 || !current) return;
  const next = new Map<string, readonly Sample[]>();
  const nextTallies = new Map<string, Tally>();
  for (const [name, members] of [
    ["", list] as const,
    ...list.map((queue) => [queue.queueName ?? "", [queue]] as const),
  ]) {
    const tally = { at: now, completed: total(members, "completed"), failed: total(members, "failed") };
    const before = tallies.get(name) ?? tally;
    const seconds = Math.max((now - before.at) / 1000, 0.001);
    const taken: Sample = {
      time: now / 1000,
      completedPerSecond: Math.max(0, tally.completed - before.completed) / seconds,
      failedPerSecond: Math.max(0, tally.failed - before.failed) / seconds,
      waitP95: Math.max(...members.map((queue) => queue.waitMs?.p95 ?? 0).map(Number)),
      runP95: Math.max(...members.map((queue) => queue.runMs?.p95 ?? 0).map(Number)),
    };
    nextTallies.set(name, tally);
    next.set(name, [...(history.peek().get(name) ?? []).slice(-HISTORY_SECONDS + 1), taken]);
  }
  tallies = nextTallies;
  history.value = next;
}

function total(members: readonly QueueStatsJson[], what: "completed" | "failed"): number {
  return members.reduce((sum, queue) => sum + Number(queue.totals?.[what] ?? 0), 0);
}
