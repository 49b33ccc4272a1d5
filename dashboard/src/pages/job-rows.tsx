/** A table of jobs, as queues and dead letters show them. */

import type { JobJson } from "../gen/qcollector/jobs/v1/job_pb";
import { links } from "../route";
import { count, duration } from "../ui/format";
import { Ago, CopyId, now, ProgressBar, TableFrame } from "../ui/pieces";
import { attemptOf, StateBadge, stateWord } from "../ui/state";

interface JobTableProps {
  readonly label: string;
  readonly jobs: readonly JobJson[];
  /** Ids that are chosen; leave it out where nothing can be chosen. */
  readonly chosen?: ReadonlySet<string>;
  readonly onChoose?: (chosen: ReadonlySet<string>) => void;
}

export function JobTable({ label, jobs, chosen, onChoose }: JobTableProps) {
  const ids = jobs.map((job) => job.id ?? "");
  const all = chosen !== undefined && ids.length > 0 && ids.every((id) => chosen.has(id));
  return (
    <TableFrame label={label}>
      <thead>
        <tr>
          {chosen && (
            <th scope="col">
              <input
                type="checkbox"
                aria-label="Select all jobs of this page"
                checked={all}
                onChange={() => onChoose?.(new Set(all ? [] : ids))}
              />
            </th>
          )}
          <th scope="col">Job</th>
          <th scope="col">Type</th>
          <th scope="col">State</th>
          <th scope="col">Progress</th>
          <th scope="col" class="number">
            Attempt
          </th>
          <th scope="col">When</th>
          <th scope="col">Last error</th>
          <th scope="col">Created</th>
          <th scope="col">By</th>
        </tr>
      </thead>
      <tbody>
        {jobs.map((job) => (
          <JobRow key={job.id} job={job} {...(chosen && { chosen })} {...(onChoose && { onChoose })} />
        ))}
      </tbody>
    </TableFrame>
  );
}

function JobRow({ job, chosen, onChoose }: Pick<JobTableProps, "chosen" | "onChoose"> & { job: JobJson }) {
  const id = job.id ?? "";
  const toggle = (): void => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    onChoose?.(next);
  };
  return (
    <tr>
      {chosen && (
        <td>
          <input type="checkbox" aria-label={`Select job ${id}`} checked={chosen.has(id)} onChange={toggle} />
        </td>
      )}
      <th scope="row">
        <CopyId id={id} link={links.job(job.queueName ?? "", id)} />
      </th>
      <td>{job.jobType}</td>
      <td>
        <StateBadge state={job.state} />
      </td>
      <td>
        {showsProgress(job) ? <ProgressBar value={Number(job.progress ?? 0)} label={`Progress of ${id}`} /> : "–"}
      </td>
      <td class="number">
        {count(attemptOf(job))}/{count(job.maxAttempts)}
      </td>
      <td>
        <When job={job} />
      </td>
      <td>
        <span class="clip" title={job.failedReason}>
          {job.failedReason || "–"}
        </span>
      </td>
      <td>
        <Ago time={job.createTime} />
      </td>
      <td>
        <span class="clip narrow" title={job.createdBy?.id}>
          {job.createdBy?.name || job.createdBy?.id || "–"}
        </span>
      </td>
    </tr>
  );
}

function showsProgress(job: JobJson): boolean {
  const state = stateWord(job.state);
  return state === "active" || (Number(job.progress ?? 0) > 0 && state !== "completed");
}

/** What matters about time in the job's state: the next run, how long it runs, when it ended. */
function When({ job }: { job: JobJson }) {
  switch (stateWord(job.state)) {
    case "delayed":
      return (
        <>
          {Number(job.attemptsMade ?? 0) > 0 ? "retries " : "runs "}
          <Ago time={job.runTime} />
        </>
      );
    case "active":
      return <>for {duration(now.value - Date.parse(job.startTime ?? ""))}</>;
    case "waiting":
      return <span class="faint">next free worker</span>;
    default:
      return (
        <>
          ended <Ago time={job.endTime} />
        </>
      );
  }
}
