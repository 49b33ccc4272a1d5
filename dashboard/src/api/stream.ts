/**
 * Server-sent events by fetch, since EventSource sends no authorization. Lost streams are taken up again by themselves.
 *
 * A tab that nobody sees holds none: browsers open six connections to one origin by HTTP/1.1, for all tabs together.
 */

import { signal } from "@preact/signals";
import { send } from "./client";
import { ApiError } from "./errors";
import { events } from "./events";

/** The service sends a heartbeat every 15 s: a stream that is silent for longer is dead, whatever the network says. */
const SILENCE_MS = 40_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
/** Why a connection ended: its tab was hidden. */
const HIDDEN = new Error("hidden");

/** Streams that are down now, by a name for people. */
export const lost = signal<ReadonlySet<string>>(new Set());

export interface StreamOptions<T> {
  /** What is followed, for people. */
  readonly name: string;
  /** Asked anew for every connection, so that it can say where to go on. */
  readonly path: () => string;
  /** Takes one message; true ends the stream for good. */
  readonly take: (message: T) => boolean;
  /** Told when a connection has ended: what came by it grows old. */
  readonly closed?: () => void;
  /** The service refuses: trying again would not help. */
  readonly refused: (error: ApiError) => void;
}

/** Follows until `signal` aborts, a message is the last, or the service refuses. */
export async function follow<T>(options: StreamOptions<T>, signal: AbortSignal): Promise<void> {
  let wait = FIRST_WAIT_MS;
  try {
    for (;;) {
      await seen(signal);
      if (signal.aborted) return;
      try {
        const ended = await connection<T>(options, signal, () => {
          wait = FIRST_WAIT_MS;
          mark(options.name, false);
        });
        if (ended) return;
      } catch (error) {
        if (signal.aborted) return;
        if (error === HIDDEN) continue;
        if (error instanceof ApiError && !error.away && error.status !== 429) {
          options.refused(error);
          return;
        }
      }
      mark(options.name, true);
      await pause(wait * (0.5 + Math.random() / 2), signal);
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  } finally {
    mark(options.name, false);
  }
}

async function connection<T>(options: StreamOptions<T>, outer: AbortSignal, alive: () => void): Promise<boolean> {
  const watchdog = new AbortController();
  const hide = (): void => {
    if (document.hidden) watchdog.abort(HIDDEN);
  };
  let timer = setTimeout(() => watchdog.abort(), SILENCE_MS);
  document.addEventListener("visibilitychange", hide);
  const signal = AbortSignal.any([outer, watchdog.signal]);
  try {
    const response = await send(options.path(), { signal }, "text/event-stream");
    if (response.body === null) return false;
    for await (const data of events(response.body)) {
      clearTimeout(timer);
      timer = setTimeout(() => watchdog.abort(), SILENCE_MS);
      alive();
      if (options.take(JSON.parse(data) as T)) return true;
    }
    return false;
  } finally {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", hide);
    watchdog.abort();
    options.closed?.();
  }
}

/** Waits until somebody sees this tab. */
function seen(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look);
    look();
  });
}

function mark(name: string, isLost: boolean): void {
  if (lost.peek().has(name) === isLost) return;
  const next = new Set(lost.peek());
  if (isLost) next.add(name);
  else next.delete(name);
  lost.value = next;
}

/** Waits, but not longer than until the network is back. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      removeEventListener("online", end);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    addEventListener("online", end);
    signal.addEventListener("abort", end);
  });
}
