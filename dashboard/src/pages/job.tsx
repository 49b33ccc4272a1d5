/** One job, live: its way, what it works on, what it answered, what it logged, and what can be done with it. */

import { useState } from "preact/hooks";
import { act, getJob } from "../api/calls";
import { saveResult } from "../download";
import type { JobJson } from "../gen/qcollector/jobs/v1/job_pb";
import type { JobLogLineJson } from "../gen/qcollector/jobs/v1/job_queries_pb";
import { useJob } from "../live/job";
import { schemaOf, typeOf } from "../live/job-types";
import { go, links } from "../route";
import { worded } from "../schema/schema";
import { admits, mayManage, maySeeAll } from "../session";
import { Action, ReasonedAction } from "../ui/action";
import { Fields, RawJson } from "../ui/fields";
import { clock, count, dateTime, duration, plural } from "../ui/format";
import { CopyId, Loading, PageHead, Panel, Problem, ProgressBar } from "../ui/pieces";
import { attemptOf, hasEnded, StateBadge, stateWord } from "../ui/state";
import { tell } from "../ui/toasts";
import { Timeline } from "./job-timeline";

export function Job({ queue, id }: { queue: string; id: string }) {
  const { job, lines, total, error, restart } = useJob(queue, id);
  if (error && (job === undefined || error.status === 404)) {
    return (
      <>
        <PageHead title="Job" note={<a href={links.queue(queue)}>To the queue {queue}</a>} />
        <Problem error={error} />
      </>
    );
  }
  if (job === undefined) return <Loading />;
  return (
    <>
      <PageHead title={`${job.jobType} job`} note={<StateBadge state={job.state} />}>
        <JobActions job={job} queue={queue} id={id} restart={restart} />
      </PageHead>
      <p class="crumbs">
        <a href={links.queue(queue)}>{queue}</a> / <CopyId id={id} whole />
      </p>
      {stateWord(job.state) === "active" && (
        <div class="panel panel-body whole">
          <ProgressBar value={Number(job.progress ?? 0)} label="Progress of this job" />
        </div>
      )}
      {job.failedReason && (
        <p class="problem">
          <strong>{stateWord(job.state) === "cancelled" ? "Why it was cancelled" : "Last error"}:</strong>{" "}
          {job.failedReason}
        </p>
      )}
      <div class="job-columns">
        <div class="stack">
          <Panel title="Timeline">
            <div class="panel-body">
              <Timeline job={job} />
            </div>
          </Panel>
          <Panel title="Options">
            <div class="panel-body stack">
              <Options job={job} />
            </div>
          </Panel>
        </div>
        <div class="stack">
          {(job.failures?.length ?? 0) > 0 && <Failures job={job} />}
          {(lines.length > 0 || stateWord(job.state) === "active") && <Log lines={lines} total={total} />}
          <Payload job={job} queue={queue} id={id} />
          {job.result && (
            <Panel title="Result">
              <div class="panel-body stack">
                <Fields value={only(job.result)} />
                <RawJson value={job.result} />
              </div>
            </Panel>
          )}
        </div>
      </div>
    </>
  );
}

/** The one member of a payload or result. */
export function only(union: object | undefined): unknown {
  const [value] = Object.values(union ?? {});
  return value;
}

function fileSize(job: JobJson): number {
  const metadata = (only(job.result) as { metadata?: { fileSize?: unknown } } | undefined)?.metadata;
  return Number(metadata?.fileSize ?? 0);
}

interface JobActionsProps {
  readonly job: JobJson;
  readonly queue: string;
  readonly id: string;
  readonly restart: () => void;
}

function JobActions({ job, queue, id, restart }: JobActionsProps) {
  const state = stateWord(job.state);
  const type = typeOf(queue, job.jobType);
  const manage = mayManage.value;
  return (
    <>
      {state === "completed" && job.result && (
        <Action
          label="Download result"
          class="primary"
          run={async () => tell(`Saved ${await saveResult(queue, id, fileSize(job))}`)}
        />
      )}
      {manage && (state === "failed" || state === "cancelled") && (
        <ReasonedAction
          label="Retry"
          class="primary"
          title="Retry this job"
          confirm="Retry job"
          run={async (reason) => {
            await act("retry", queue, id, reason);
            restart();
          }}
          done="The job waits to run again"
        >
          <p>It runs again, with all its attempts.</p>
        </ReasonedAction>
      )}
      {manage && state === "delayed" && (
        <ReasonedAction
          label="Promote"
          title="Promote this job"
          confirm="Promote job"
          run={(reason) => act("promote", queue, id, reason)}
          done="The job may run now"
        >
          <p>It may run now, and no longer waits for its time.</p>
        </ReasonedAction>
      )}
      {type && admits(type.minimumRole) && (
        <a class="button" href={links.enqueue({ queue, type: job.jobType ?? "", from: id })}>
          Duplicate
        </a>
      )}
      {!hasEnded(state) && (
        <ReasonedAction
          label="Cancel"
          title="Cancel this job"
          confirm="Cancel job"
          danger
          run={(reason) => act("cancel", queue, id, reason)}
          done="The job is cancelled"
        >
          <p>It stays cancelled, also if it runs just now.</p>
        </ReasonedAction>
      )}
      {manage && state !== "active" && (
        <ReasonedAction
          label="Delete"
          title="Delete this job"
          confirm="Delete job"
          danger
          run={async (reason) => {
            await act("delete", queue, id, reason);
            go(links.queue(queue));
          }}
          done={`Job ${id} is deleted`}
        >
          <p>The job and all that is kept of it go. This cannot be undone.</p>
        </ReasonedAction>
      )}
    </>
  );
}

function Payload({ job, queue, id }: { job: JobJson; queue: string; id: string }) {
  const [full, setFull] = useState<JobJson>();
  const shown = full ?? job;
  return (
    <Panel
      title="Payload"
      tools={
        maySeeAll.value &&
        (full ? (
          <button type="button" onClick={() => setFull(undefined)}>
            Hide sensitive values
          </button>
        ) : (
          <Action label="Show sensitive values (logged)" run={async () => setFull(await getJob(queue, id, true))} />
        ))
      }
    >
      <div class="panel-body stack">
        {shown.payload ? (
          <PayloadFields queue={queue} jobType={job.jobType} payload={shown.payload} />
        ) : (
          <p class="faint">The service does not know this type any more.</p>
        )}
        {shown.payload && <RawJson value={shown.payload} />}
      </div>
    </Panel>
  );
}

/** What a job works on, in the words of its type's schema. */
export function PayloadFields(of: { queue: string; jobType: string | undefined; payload: object | undefined }) {
  const schema = schemaOf(typeOf(of.queue, of.jobType));
  return <Fields value={worded(only(of.payload), schema, schema)} />;
}

function Log({ lines, total }: { lines: readonly JobLogLineJson[]; total: number }) {
  return (
    <Panel title="Log" tools={total > lines.length && <span class="faint">the last of {plural(total, "line")}</span>}>
      {lines.length === 0 && <p class="faint">Nothing logged yet.</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
      <section class="log-frame" aria-label="Log lines" tabIndex={0}>
        <ol class="log">
          {lines.map((line, place) => (
            <li key={`${line.time} ${place}`}>
              <time dateTime={line.time} title={dateTime(line.time)}>
                {clock(line.time)}
              </time>{" "}
              {line.message}
            </li>
          ))}
        </ol>
      </section>
    </Panel>
  );
}

function Failures({ job }: { job: JobJson }) {
  return (
    <Panel title="Failed attempts">
      <ol class="panel-body attempts">
        {job.failures?.map((failure, place) => (
          <li key={`${failure.time} ${place}`}>
            <div class="faint">
              Attempt {place + 1}, {dateTime(failure.time)}, on {failure.worker || "no worker"}
            </div>
            <pre class="text">{failure.reason}</pre>
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function Options({ job }: { job: JobJson }) {
  const options = job.options ?? {};
  const backoff = options.backoff;
  const shown: Record<string, unknown> = {
    attempt: `${count(attemptOf(job))} of ${count(job.maxAttempts)}`,
    priority: job.priority ?? 0,
    delay: Number(options.delay ?? 0) > 0 ? duration(Number(options.delay)) : null,
    runAt: options.runAt ?? null,
    expireAt: options.expireAt ?? null,
    backoff: backoff && `${backoff.type || "fixed"}, ${duration(backoff.delay ?? 0)}`,
    timeout: options.timeout ? duration(options.timeout) : null,
    stalls: job.stalls ?? 0,
    worker: job.worker ?? "",
    createdBy: [job.createdBy?.name, job.createdBy?.id, job.createdBy?.role].filter(Boolean).join(", "),
  };
  return <Fields value={shown} />;
}
