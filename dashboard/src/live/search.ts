/** Pages of jobs, where a search may have to look through many jobs before it finds one. */

import { useCallback, useRef, useState } from "preact/hooks";
import { type JobsQuery, listJobs } from "../api/calls";
import type { ListJobsResponseJson } from "../gen/qcollector/jobs/v1/job_queries_pb";
import { type Loaded, useLoaded } from "./refresh";

/**
 * The first page, from the one that `query` asks for, that holds jobs. Where there is none, or `goesOn` ends the search,
 * it is the last page that came. `goesOn` is told how many jobs have been looked at.
 */
export async function pageWithJobs(
  queue: string,
  query: JobsQuery,
  goesOn: (scanned: number) => boolean,
  signal: AbortSignal,
): Promise<ListJobsResponseJson> {
  let page = await listJobs(queue, query, signal);
  let scanned = page.scanned ?? 0;
  while (!page.jobs?.length && page.nextPageToken && goesOn(scanned)) {
    page = await listJobs(queue, { ...query, pageToken: page.nextPageToken }, signal);
    scanned += page.scanned ?? 0;
  }
  return page;
}

export interface FoundJobs extends Loaded<ListJobsResponseJson> {
  /** Jobs that were looked at in vain; 0 where the first page held some. */
  readonly looked: number;
  readonly stop: () => void;
}

/** The page that `query` asks for, or the next one that holds jobs. It is kept up to date unless that takes a search. */
export function useJobs(queue: string, query: JobsQuery): FoundJobs {
  const [looked, setLooked] = useState(0);
  const stopped = useRef(false);
  const page = useLoaded(
    `${queue} ${JSON.stringify(query)}`,
    (signal) => {
      stopped.current = false;
      setLooked(0);
      const goesOn = (scanned: number): boolean => {
        if (!signal.aborted) setLooked(scanned);
        return !stopped.current;
      };
      return pageWithJobs(queue, query, goesOn, signal);
    },
    looked === 0,
  );
  const stop = useCallback(() => {
    stopped.current = true;
  }, []);
  return { ...page, looked, stop };
}
