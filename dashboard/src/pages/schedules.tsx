/** The recurring jobs: when they run in words, what ran last, and what steers them. */

import {
  deleteSchedule,
  getSchedule,
  listScheduleRuns,
  listSchedules,
  setSchedulePaused,
  triggerSchedule,
} from "../api/calls";
import type { CallerJson } from "../gen/qcollector/jobs/v1/job_pb";
import type { ScheduleJson, ScheduleRunJson } from "../gen/qcollector/jobs/v1/schedule_service_pb";
import { useLoaded } from "../live/refresh";
import { go, links } from "../route";
import { mayManage } from "../session";
import { Action, ConfirmAction } from "../ui/action";
import { Fields, RawJson } from "../ui/fields";
import { dateTime, dateTimeIn } from "../ui/format";
import { Ago, CopyId, Loading, PageHead, Panel, Problem, TableFrame } from "../ui/pieces";
import { StateBadge } from "../ui/state";
import { PayloadFields } from "./job";

const RUNS_SHOWN = 50;

export function Schedules() {
  const { data, error, loading, reload } = useLoaded("schedules", listSchedules);
  const schedules = data ?? [];
  return (
    <>
      <PageHead title="Schedules">
        {mayManage.value && (
          <a class="button primary" href={links.scheduleNew}>
            New schedule
          </a>
        )}
      </PageHead>
      <Problem error={error} />
      <Panel title="Recurring jobs">
        {loading ? (
          <Loading />
        ) : schedules.length === 0 ? (
          <p class="empty">There are none.</p>
        ) : (
          <TableFrame label="Schedules">
            <thead>
              <tr>
                <th scope="col">Schedule</th>
                <th scope="col">When</th>
                <th scope="col">Zone</th>
                <th scope="col">Job</th>
                <th scope="col">Next run</th>
                <th scope="col">Last fired</th>
                {mayManage.value && <th scope="col">Actions</th>}
              </tr>
            </thead>
            <tbody>
              {schedules.map((schedule) => (
                <ScheduleRow key={schedule.name} schedule={schedule} reload={reload} />
              ))}
            </tbody>
          </TableFrame>
        )}
      </Panel>
    </>
  );
}

function ScheduleRow({ schedule, reload }: { schedule: ScheduleJson; reload: () => void }) {
  const name = schedule.name ?? "";
  return (
    <tr>
      <th scope="row">
        <a href={links.schedule(name)}>{name}</a> {schedule.paused && <span class="badge paused">paused</span>}{" "}
        {schedule.error && (
          <span class="badge unhealthy" title={schedule.error}>
            cannot fire
          </span>
        )}
      </th>
      <td>
        {schedule.cronText} <code class="faint">{schedule.cron}</code>
      </td>
      <td>{schedule.timezone}</td>
      <td>
        {schedule.queueName} / {schedule.jobType}
      </td>
      <td>
        <Ago time={schedule.nextTimes?.[0]} />
      </td>
      <td>{schedule.lastSlot ? <Ago time={schedule.lastSlot} /> : <span class="faint">never</span>}</td>
      {mayManage.value && (
        <td>
          <div class="tools">
            <ScheduleActions schedule={schedule} reload={reload} />
          </div>
        </td>
      )}
    </tr>
  );
}

function ScheduleActions({ schedule, reload }: { schedule: ScheduleJson; reload: () => void }) {
  const name = schedule.name ?? "";
  const paused = schedule.paused === true;
  return (
    <>
      <Action
        label={paused ? "Resume" : "Pause"}
        name={`${paused ? "Resume" : "Pause"} ${name}`}
        run={async () => {
          await setSchedulePaused(name, !paused);
          reload();
        }}
        done={`${name} ${paused ? "fires again" : "is paused"}`}
      />
      <Action
        label="Trigger"
        name={`Trigger ${name}`}
        run={async () => {
          await triggerSchedule(name);
          reload();
        }}
        done={`A job of ${name} is enqueued`}
      />
    </>
  );
}

export function SchedulePage({ name }: { name: string }) {
  const loaded = useLoaded(`schedule ${name}`, (signal) => getSchedule(name, signal));
  const runs = useLoaded(`runs ${name}`, (signal) => listScheduleRuns(name, RUNS_SHOWN, signal));
  const schedule = loaded.data;
  const reload = (): void => {
    loaded.reload();
    runs.reload();
  };
  return (
    <>
      <PageHead title={name} note={schedule?.paused && <span class="badge paused">paused</span>}>
        {mayManage.value && schedule && (
          <>
            <ScheduleActions schedule={schedule} reload={reload} />
            <a class="button" href={links.scheduleEdit(name)}>
              Edit
            </a>
            <DeleteButton name={name} />
          </>
        )}
      </PageHead>
      <p class="crumbs">
        <a href={links.schedules}>Schedules</a> / {name}
      </p>
      <Problem error={loaded.error ?? runs.error} />
      {schedule?.error && <p class="problem">It cannot fire: {schedule.error}</p>}
      {loaded.loading && <Loading />}
      {schedule && (
        <div class="job-columns">
          <div class="stack">
            <When schedule={schedule} />
            <Panel title={`${schedule.queueName} / ${schedule.jobType}`}>
              <div class="panel-body stack">
                <PayloadFields queue={schedule.queueName ?? ""} jobType={schedule.jobType} payload={schedule.payload} />
                <RawJson value={{ payload: schedule.payload, options: schedule.options }} />
              </div>
            </Panel>
          </div>
          <Panel title="Latest runs">
            <Runs runs={runs.data?.runs ?? []} />
          </Panel>
        </div>
      )}
    </>
  );
}

function DeleteButton({ name }: { name: string }) {
  const run = async (): Promise<void> => {
    await deleteSchedule(name);
    go(links.schedules);
  };
  return (
    <ConfirmAction
      label="Delete"
      title={`Delete ${name}`}
      confirm="Delete schedule"
      danger
      run={run}
      done={`${name} is deleted`}
    >
      <p>It fires no more. The jobs that it enqueued stay.</p>
    </ConfirmAction>
  );
}

function When({ schedule }: { schedule: ScheduleJson }) {
  const told = {
    purpose: schedule.description,
    fires: schedule.cronText,
    cronExpression: schedule.cron,
    timeZone: `${schedule.timezone ?? ""}${schedule.timezoneFollowsSetting ? " (follows SCHEDULE_TIMEZONE)" : ""}`,
    lastFired: schedule.lastSlot ?? "never",
    created: schedule.createTime,
    createdBy: personOf(schedule.createdBy),
    changed: schedule.updateTime,
    ...(schedule.updatedBy && { changedBy: personOf(schedule.updatedBy) }),
    runsAs: personOf(schedule.runAs),
  };
  return (
    <Panel title="When">
      <div class="panel-body stack">
        <Fields value={told} />
        {schedule.paused ? (
          <p class="hint">It fires again once somebody resumes it.</p>
        ) : (
          <NextTimes times={schedule.nextTimes ?? []} zone={schedule.timezone ?? ""} />
        )}
      </div>
    </Panel>
  );
}

function personOf(caller: CallerJson | undefined): string {
  return caller?.name || caller?.id || "";
}

/** As the clocks of the zone show them that the expression is in. */
export function NextTimes({ times, zone }: { times: readonly string[]; zone: string }) {
  if (times.length === 0) return <p class="hint">It fires at no time to come.</p>;
  return (
    <>
      <h3>Next times</h3>
      <ol class="elements plain">
        {times.map((time) => (
          <li key={time}>
            {dateTimeIn(zone, time)}{" "}
            <span class="faint">
              <Ago time={time} />
            </span>
          </li>
        ))}
      </ol>
    </>
  );
}

function Runs({ runs }: { runs: readonly ScheduleRunJson[] }) {
  if (runs.length === 0) return <p class="empty">It has not run yet.</p>;
  return (
    <TableFrame label="Latest runs">
      <thead>
        <tr>
          <th scope="col">Fired</th>
          <th scope="col">Job</th>
          <th scope="col">State</th>
          <th scope="col">Why</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.job?.jobId}>
            <td>
              {dateTime(run.slot)} {run.triggered && <span class="pill">triggered</span>}
            </td>
            <td>
              <CopyId id={run.job?.jobId ?? ""} link={links.job(run.job?.queueName ?? "", run.job?.jobId ?? "")} />
            </td>
            <td>{run.state && run.state !== "JOB_STATE_UNSPECIFIED" ? <StateBadge state={run.state} /> : "gone"}</td>
            <td>
              <span class="clip" title={run.failedReason}>
                {run.failedReason || "–"}
              </span>
            </td>
          </tr>
        ))}
      </tbody>
    </TableFrame>
  );
}
