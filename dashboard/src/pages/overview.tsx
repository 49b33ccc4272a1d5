/** All queues at a glance: what they hold and do, how healthy the service is, and where something is wrong. */

import { getDashboard } from "../api/calls";
import type { HealthCheckJson, QueueStatsJson } from "../gen/qcollector/jobs/v1/queue_pb";
import { queueList, queues } from "../live/queues";
import { useLoaded } from "../live/refresh";
import { links } from "../route";
import { mayManage } from "../session";
import { bytes, count, duration, plural } from "../ui/format";
import { Loading, PageHead, Panel, Problem, TableFrame } from "../ui/pieces";
import { STATES, type StateWord } from "../ui/state";
import { Graphs } from "./graphs";
import { PauseButton } from "./queue-dialogs";

export function Overview() {
  return (
    <>
      <PageHead title="Queues" />
      <StateCards />
      <Graphs queue="" latency="p95 of the slowest queue" />
      <UnservedWarning />
      <QueueTable />
      <Health />
    </>
  );
}

/** What health says of queues that nobody works on; of one queue, or of any. */
export function UnservedWarning({ queue }: { queue?: string }) {
  const dashboard = useLoaded("dashboard", getDashboard);
  const check = dashboard.data?.health?.checks?.find((one) => one.name === "workers");
  const reason = check?.reason ?? "";
  if (reason === "" || (queue !== undefined && !reason.includes(queue))) return null;
  return (
    <p class="warning" role="status">
      {queue === undefined ? <>Health says: {reason}.</> : <>Nobody works on this queue: {reason}.</>}
    </p>
  );
}

function held(state: StateWord): number {
  return queueList.value.reduce((sum, queue) => sum + Number(queue.counts?.[state] ?? 0), 0);
}

function total(state: "completed" | "failed" | "cancelled"): number {
  return queueList.value.reduce((sum, queue) => sum + Number(queue.totals?.[state] ?? 0), 0);
}

function StateCards() {
  return (
    <dl class="cards" aria-label="Jobs by state">
      {STATES.map((state) => (
        <div key={state} class="card">
          <dt>{state}</dt>
          <dd>
            {queues.value === null ? "–" : count(held(state))}
            {(state === "completed" || state === "failed" || state === "cancelled") && (
              <div class="hint">{count(total(state))} since the queues began</div>
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function QueueTable() {
  const rows = queueList.value;
  return (
    <Panel title="All queues">
      {queues.value === null ? (
        <Loading />
      ) : (
        <TableFrame label="All queues">
          <thead>
            <tr>
              <th scope="col">Queue</th>
              {STATES.map((state) => (
                <th key={state} scope="col" class="number">
                  {state}
                </th>
              ))}
              <th scope="col" class="number">
                Oldest waiting
              </th>
              <th scope="col" class="number">
                Per minute
              </th>
              <th scope="col" class="number">
                Errors
              </th>
              {mayManage.value && <th scope="col">Steer</th>}
            </tr>
          </thead>
          <tbody>
            {rows.map((queue) => (
              <QueueRow key={queue.queueName} queue={queue} />
            ))}
          </tbody>
        </TableFrame>
      )}
    </Panel>
  );
}

function QueueRow({ queue }: { queue: QueueStatsJson }) {
  const name = queue.queueName ?? "";
  const paused = queue.paused === true;
  const completed = Number(queue.perMinute?.completed ?? 0);
  const failed = Number(queue.perMinute?.failed ?? 0);
  return (
    <tr>
      <th scope="row">
        <a href={links.queue(name)}>{name}</a> {paused && <span class="badge paused">paused</span>}
      </th>
      {STATES.map((state) => (
        <td key={state} class="number">
          <a href={links.queue(name, { state })} class={queue.counts?.[state] ? undefined : "faint"}>
            {count(queue.counts?.[state])}
          </a>
        </td>
      ))}
      <td class="number">{queue.oldestWaitingAgeMs ? duration(Number(queue.oldestWaitingAgeMs)) : "–"}</td>
      <td class="number">{count(completed + failed)}</td>
      <td class={failed > 0 ? "number bad-text" : "number"}>
        {completed + failed > 0 ? `${count((failed / (completed + failed)) * 100)} %` : "–"}
      </td>
      {mayManage.value && (
        <td>
          <PauseButton queue={name} paused={paused} />
        </td>
      )}
    </tr>
  );
}

function Health() {
  const dashboard = useLoaded("dashboard", getDashboard);
  const health = dashboard.data?.health;
  const system = dashboard.data?.system;
  return (
    <Panel title="Health" tools={health && <span class={`badge ${health.status}`}>{health.status}</span>}>
      <div class="panel-body stack">
        <Problem error={dashboard.error} />
        {dashboard.loading && <Loading />}
        {health?.reason && <p class="warning">{health.reason}</p>}
        <ul class="checks">
          {health?.checks?.map((check) => (
            <Check key={check.name} check={check} />
          ))}
        </ul>
        {system && (
          <p class="faint">
            Release {system.version}, up for {duration(Number(system.uptimeSeconds) * 1000)},{" "}
            <a href={links.workers}>{plural(Number(system.workers), "worker process", "worker processes")}</a>. Service{" "}
            {bytes(system.memoryBytes)}, store {system.storeVersion} {bytes(system.storeMemoryBytes)}.
          </p>
        )}
      </div>
    </Panel>
  );
}

/** What operators call it. */
const CHECKED: Readonly<Record<string, string>> = { store: "Redis or Valkey", smtp: "mail" };

function Check({ check }: { check: HealthCheckJson }) {
  const name = check.name ?? "";
  return (
    <li title={check.reason}>
      <span>{CHECKED[name] ?? name}</span>
      <span class={`badge ${check.status}`}>{check.status}</span>
      <span class="faint">{duration(Number(check.latencyMs ?? 0))}</span>
    </li>
  );
}
