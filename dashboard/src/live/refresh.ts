/** Data that is asked for again from time to time, and not while that would disturb the reader. */

import { effect, signal } from "@preact/signals";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/errors";
import { lost } from "../api/stream";

const KEY = "board.refresh";
export const REFRESH_CHOICES = [0, 1, 2, 5, 10, 30, 60] as const;

/** Seconds between two looks; 0 never looks again. */
export const refreshSeconds = signal(storedSeconds());
effect(() => localStorage.setItem(KEY, String(refreshSeconds.value)));

function storedSeconds(): number {
  const stored = Number(localStorage.getItem(KEY) ?? "5");
  return REFRESH_CHOICES.some((choice) => choice === stored) ? stored : 5;
}

/** Whether somebody reads or writes just now what a refresh would change under their hands. */
function disturbs(): boolean {
  if (document.hidden || document.querySelector("dialog[open]") !== null) return true;
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed && selection.toString() !== "";
}

export interface Loaded<T> {
  /** What came last, also while the next is under way. */
  readonly data: T | undefined;
  readonly error: ApiError | undefined;
  readonly loading: boolean;
  readonly reload: () => void;
}

/** What `load` answers for `key`: asked for when the key changes, on `reload`, and every so often. */
export function useLoaded<T>(key: string, load: (signal: AbortSignal) => Promise<T>, again = true): Loaded<T> {
  const [state, setState] = useState<{ key: string; data?: T | undefined; error?: ApiError | undefined }>({ key: "" });
  const [round, setRound] = useState(0);
  const reload = useCallback(() => setRound((before) => before + 1), []);
  const latest = useRef(load);
  const under = useRef<AbortController | undefined>(undefined);
  latest.current = load;
  const every = refreshSeconds.value;

  // biome-ignore lint/correctness/useExhaustiveDependencies: `round` is there to load again.
  useEffect(() => {
    const end = new AbortController();
    under.current = end;
    const keep = (before: { key: string; data?: T | undefined }) => (before.key === key ? before.data : undefined);
    latest
      .current(end.signal)
      .then(
        (data) => setState({ key, data }),
        (error: unknown) => {
          if (end.signal.aborted) return;
          const told = error instanceof ApiError ? error : new ApiError(0, String(error));
          setState((before) => ({ key, data: keep(before), error: told }));
        },
      )
      .finally(() => {
        if (under.current === end) under.current = undefined;
      });
    return () => end.abort();
  }, [key, round]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: each answer starts the wait for the next.
  useEffect(() => {
    if (!again || every === 0) return;
    const timer = setInterval(() => {
      // What takes longer than the interval is let finish.
      if (!disturbs() && under.current === undefined) reload();
    }, every * 1000);
    return () => clearInterval(timer);
  }, [again, every, state]);

  const connected = lost.value.size === 0;
  const away = state.error?.away === true;
  // What failed for want of a connection is asked for again as soon as there is one.
  useEffect(() => {
    if (connected && away) reload();
  }, [connected, away, reload]);

  const current = state.key === key;
  return {
    data: current ? state.data : undefined,
    error: current ? state.error : undefined,
    loading: !current,
    reload,
  };
}
