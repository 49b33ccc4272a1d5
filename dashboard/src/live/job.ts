/** One job as it lives: a snapshot, then every change, taken up again where a lost connection left off. */

import { useCallback, useEffect, useState } from "preact/hooks";
import { getJob, jobEventsPath, listJobLogs } from "../api/calls";
import { ApiError } from "../api/errors";
import { follow } from "../api/stream";
import type { JobJson } from "../gen/qcollector/jobs/v1/job_pb";
import type { JobLogLineJson, WatchJobResponseJson } from "../gen/qcollector/jobs/v1/job_queries_pb";
import { hasEnded, stateWord } from "../ui/state";
import { refreshSeconds } from "./refresh";

/** The service keeps as many. */
const LINES_KEPT = 200;
/** Characters that an event carries of a line. */
const EVENT_TEXT = 200;

export interface FollowedJob {
  readonly job: JobJson | undefined;
  /** Log lines that are kept, and while the job runs also the names of its steps. */
  readonly lines: readonly JobLogLineJson[];
  /** Lines that the job wrote in all. */
  readonly total: number;
  readonly error: ApiError | undefined;
  /** Follows anew: an ended job was run again. */
  readonly restart: () => void;
}

export function useJob(queue: string, id: string): FollowedJob {
  const [job, setJob] = useState<JobJson>();
  const [lines, setLines] = useState<readonly JobLogLineJson[]>([]);
  const [total, setTotal] = useState(0);
  const [error, setError] = useState<ApiError>();
  const [round, setRound] = useState(0);
  const restart = useCallback(() => setRound((before) => before + 1), []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `round` is there to follow anew.
  useEffect(() => {
    const end = new AbortController();
    let after = "";
    let state = "";

    const loadLines = async (): Promise<void> => {
      try {
        const answer = await listJobLogs(queue, id, end.signal);
        setLines((before) => merged(answer.lines ?? [], hasEnded(state) ? [] : before));
        setTotal(answer.total ?? 0);
      } catch {
        // The stream tells of a lost connection, and a lost job.
      }
    };
    // A new state brings with it what its event does not tell: that is asked for.
    const loadJob = async (): Promise<void> => {
      try {
        const fresh = await getJob(queue, id);
        if (end.signal.aborted) return;
        setJob((last) => (last && hasEnded(stateWord(last.state)) ? last : { ...fresh, ...newer(last) }));
      } catch (failure) {
        if (failure instanceof ApiError && failure.status === 404 && !end.signal.aborted) setError(failure);
      }
    };
    const whole = (told: JobJson): void => {
      state = stateWord(told.state);
      setJob(told);
      setError(undefined);
      void loadLines();
    };
    const take = (event: WatchJobResponseJson): boolean => {
      after = event.sequence ?? after;
      const told = event.snapshot?.job ?? event.reset?.job ?? event.end?.job;
      if (told) whole(told);
      else if (event.end) setError(new ApiError(404, "The job was deleted."));
      if (event.state) {
        const change = newer({ ...(event.state.state && { state: event.state.state }) });
        state = stateWord(event.state.state);
        setJob((last) => ({ ...last, ...change }));
        void loadJob();
      }
      if (event.progress) {
        const progress = event.progress.percent;
        setJob((last) => ({ ...last, ...(progress !== undefined && { progress }) }));
      }
      const message = event.log?.message || event.progress?.step;
      if (message) {
        const line = { message, ...(event.time && { time: event.time }) };
        setLines((before) => merged(before, [line]));
      }
      return event.end !== undefined;
    };
    const options = { name: `job ${id}`, path: () => jobEventsPath(queue, id, after), take, refused: setError };
    void follow<WatchJobResponseJson>(options, end.signal);
    return () => end.abort();
  }, [queue, id, round]);

  useAwakening(queue, job, restart);
  return { job, lines, total, error, restart };
}

function newer(of: Pick<JobJson, "state" | "progress"> | undefined): Pick<JobJson, "state" | "progress"> {
  return { ...(of?.state && { state: of.state }), ...(of?.progress !== undefined && { progress: of.progress }) };
}

function merged(first: readonly JobLogLineJson[], second: readonly JobLogLineJson[]): JobLogLineJson[] {
  const seen = new Set(first.map(key));
  return [...first, ...second.filter((line) => !seen.has(key(line)))].slice(-LINES_KEPT);
}

/** Events carry the beginning of a line, the log all of it. */
function key(line: JobLogLineJson): string {
  return `${line.time} ${line.message?.slice(0, EVENT_TEXT - 1)}`;
}

/** The stream of an ended job is over. Somebody may run it again: that is looked for now and then. */
function useAwakening(queue: string, job: JobJson | undefined, restart: () => void): void {
  const ended = job !== undefined && hasEnded(stateWord(job.state));
  const id = job?.id ?? "";
  const every = refreshSeconds.value;
  // biome-ignore lint/correctness/useExhaustiveDependencies: `every` is a signal's value, which the linter takes for a constant.
  useEffect(() => {
    if (!ended || every === 0) return;
    const timer = setInterval(() => {
      if (document.hidden) return;
      getJob(queue, id).then(
        (fresh) => !hasEnded(stateWord(fresh.state)) && restart(),
        () => undefined,
      );
    }, every * 1000);
    return () => clearInterval(timer);
  }, [ended, every, queue, id, restart]);
}
