/** One job as it lives: a snapshot, then every change, taken up again where a lost connection left off. */

import { useCallback, useEffect, useState } from "preact/hooks";
import { getJob, jobEventsPath, listJobLogs } from "../api/calls";
import { ApiError } from "../api/errors";
import { follow } from "../api/stream";
import type { JobJson } from "../gen/qcollector/jobs/v1/job_pb";
import type { JobLogLineJson, WatchJobResponseJson } from "../gen/qcollector/jobs/v1/job_service_pb";
import { hasEnded, stateWord } from "../ui/state";
import { refreshSeconds } from "./refresh";

/** The service keeps as many. */
const LINES_KEPT = 200;

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
    // Events tell state and progress alone: what else a new state brings with it is asked for.
    const loadJob = async (): Promise<void> => {
      try {
        const fresh = await getJob(queue, id);
        if (end.signal.aborted) return;
        setJob((last) => (last && hasEnded(stateWord(last.state)) ? last : { ...fresh, ...newer(last) }));
      } catch (failure) {
        if (failure instanceof ApiError && failure.status === 404 && !end.signal.aborted) setError(failure);
      }
    };
    const take = (event: WatchJobResponseJson): boolean => {
      if (event.heartbeat === true) return false;
      after = event.sequence ?? after;
      const word = stateWord(event.state);
      const changed = word !== state;
      state = word;
      if (event.job) {
        setJob(event.job);
        setError(undefined);
        void loadLines();
        return hasEnded(word);
      }
      setJob((last) => ({ ...last, ...newer(event) }));
      if (changed) void loadJob();
      if (event.message && word === "active") {
        const line = { message: event.message, ...(event.time && { time: event.time }) };
        setLines((before) => merged(before, [line]));
      }
      return hasEnded(word);
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
  const seen = new Set(first.map((line) => `${line.time} ${line.message}`));
  return [...first, ...second.filter((line) => !seen.has(`${line.time} ${line.message}`))].slice(-LINES_KEPT);
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
