/** The states of a job: their words, and the badge that shows one. */

import type { JobJson, JobStateJson } from "../gen/qcollector/jobs/v1/job_pb";

const PREFIX = "JOB_STATE_";

/** Words of the states that a queue holds jobs in, in the order of a job's life. `blocked` is reserved. */
export const STATES = ["waiting", "delayed", "active", "completed", "failed", "cancelled"] as const;
export type StateWord = (typeof STATES)[number];

export function isState(word: string): word is StateWord {
  return (STATES as readonly string[]).includes(word);
}

export function stateWord(state: JobStateJson | undefined): string {
  return String(state ?? "")
    .replace(PREFIX, "")
    .toLowerCase();
}

export function stateName(word: StateWord): JobStateJson {
  return `${PREFIX}${word.toUpperCase()}` as JobStateJson;
}

export function hasEnded(word: string): boolean {
  return word === "completed" || word === "failed" || word === "cancelled";
}

/** Which attempt a job is at: the one that runs, or else the last that did. */
export function attemptOf(job: JobJson): number {
  return (job.attemptsMade ?? 0) + (stateWord(job.state) === "active" ? 1 : 0);
}

export function StateBadge({ state }: { state: JobStateJson | undefined }) {
  const word = stateWord(state) || "unknown";
  return <span class={`badge state-${word}`}>{word}</span>;
}
