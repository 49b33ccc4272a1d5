/** The jobs that failed for good, over all queues: by queue and type, with their reasons, to look at and to run again. */

import { useState } from "preact/hooks";
import { listJobs } from "../api/calls";
import type { JobJson } from "../gen/qcollector/jobs/v1/job_pb";
import { queueList, queues } from "../live/queues";
import { useLoaded } from "../live/refresh";
import { links } from "../route";
import { mayManage } from "../session";
import { count, plural } from "../ui/format";
import { Ago, Loading, PageHead, Panel, Problem, TableFrame } from "../ui/pieces";
import { BulkDialog } from "./bulk";
import { JobTable } from "./job-rows";

/** Of each queue the latest so many are looked at: the page costs the same, however many there are. */
const LOOKED_AT = 100;

export function DeadLetters() {
  const failed = queueList.value.filter((queue) => (queue.counts?.failed ?? 0) > 0);
  return (
    <>
      <PageHead title="Dead letters" note={<span class="faint">jobs that failed for good</span>} />
      {queues.value === null ? (
        <Loading />
      ) : failed.length === 0 ? (
        <p class="notice">No queue holds a failed job.</p>
      ) : (
        failed.map((queue) => (
          <QueueLetters key={queue.queueName} queue={queue.queueName ?? ""} held={queue.counts?.failed ?? 0} />
        ))
      )}
    </>
  );
}

function QueueLetters({ queue, held }: { queue: string; held: number }) {
  const [type, setType] = useState<string>();
  const [retrying, setRetrying] = useState<string>();
  const page = useLoaded(`dead ${queue}`, (signal) =>
    listJobs(queue, { filter: { states: ["JOB_STATE_FAILED"] }, orderBy: "state", pageSize: LOOKED_AT }, signal),
  );
  const jobs = page.data?.jobs ?? [];
  const groups = [...Map.groupBy(jobs, (job) => job.jobType ?? "")];
  return (
    <Panel
      title={`${queue}: ${plural(held, "failed job")}`}
      tools={
        mayManage.value && (
          <button type="button" aria-label={`Retry all of ${queue}`} onClick={() => setRetrying("")}>
            Retry all…
          </button>
        )
      }
    >
      <Problem error={page.error} />
      {page.loading && <Loading />}
      {groups.length > 0 && (
        <div class="letters">
          <TableFrame label={`Failed jobs of ${queue} by type`}>
            <thead>
              <tr>
                <th scope="col">Type</th>
                <th scope="col" class="number">
                  {held > LOOKED_AT ? `Of the latest ${LOOKED_AT}` : "Jobs"}
                </th>
                <th scope="col">Latest</th>
                <th scope="col">Reasons</th>
                <th scope="col">Actions</th>
              </tr>
            </thead>
            <tbody>
              {groups.map(([word, members]) => (
                <LettersOfType
                  key={word}
                  queue={queue}
                  word={word}
                  jobs={members}
                  open={type === word}
                  onInspect={() => setType(type === word ? undefined : word)}
                  onRetry={() => setRetrying(word)}
                />
              ))}
            </tbody>
          </TableFrame>
        </div>
      )}
      {type !== undefined && (
        <JobTable label={`Failed ${type} jobs of ${queue}`} jobs={jobs.filter((job) => job.jobType === type)} />
      )}
      {retrying !== undefined && (
        <BulkDialog
          action="retry"
          queue={queue}
          chosen={{ filter: { states: ["JOB_STATE_FAILED"], ...(retrying && { jobType: retrying }) } }}
          what={`all failed jobs${retrying && ` of type “${retrying}”`}`}
          onClose={(changed) => {
            setRetrying(undefined);
            if (changed) page.reload();
          }}
        />
      )}
    </Panel>
  );
}

interface LettersOfTypeProps {
  readonly queue: string;
  readonly word: string;
  readonly jobs: readonly JobJson[];
  readonly open: boolean;
  readonly onInspect: () => void;
  readonly onRetry: () => void;
}

function LettersOfType({ queue, word, jobs, open, onInspect, onRetry }: LettersOfTypeProps) {
  return (
    <tr>
      <th scope="row">
        <a href={links.queue(queue, { state: "failed", type: word })}>{word}</a>
      </th>
      <td class="number">{count(jobs.length)}</td>
      <td>
        <Ago time={jobs[0]?.endTime} />
      </td>
      <td class="wide">
        <Reasons jobs={jobs} />
      </td>
      <td>
        <div class="tools">
          <button type="button" aria-expanded={open} aria-label={`Inspect ${queue} ${word}`} onClick={onInspect}>
            Inspect
          </button>
          {mayManage.value && (
            <button type="button" aria-label={`Retry all ${word} of ${queue}`} onClick={onRetry}>
              Retry all…
            </button>
          )}
        </div>
      </td>
    </tr>
  );
}

const REASONS_SHOWN = 3;

/** The commonest first. */
function Reasons({ jobs }: { jobs: readonly JobJson[] }) {
  const reasons = [...Map.groupBy(jobs, (job) => job.failedReason ?? "")].sort(
    ([, one], [, other]) => other.length - one.length,
  );
  return (
    <ul class="reasons">
      {reasons.slice(0, REASONS_SHOWN).map(([reason, members]) => (
        <li key={reason}>
          {members.length > 1 && <span class="pill">{count(members.length)}</span>} {reason || "no reason given"}
        </li>
      ))}
      {reasons.length > REASONS_SHOWN && (
        <li class="hint">and {plural(reasons.length - REASONS_SHOWN, "other reason")}</li>
      )}
    </ul>
  );
}
