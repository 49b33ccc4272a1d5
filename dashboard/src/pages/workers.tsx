/** The worker processes: where they run, what they serve, and how busy they are. */

import { listWorkers } from "../api/calls";
import type { WorkerJson } from "../gen/qcollector/jobs/v1/queue_pb";
import { useLoaded } from "../live/refresh";
import { links } from "../route";
import { bytes, count } from "../ui/format";
import { Ago, Loading, PageHead, Panel, Problem, ProgressBar, TableFrame } from "../ui/pieces";

export function Workers() {
  const { data, error, loading } = useLoaded("workers", listWorkers);
  const workers = data ?? [];
  return (
    <>
      <PageHead title="Workers" note={<span class="faint">that reported within the last half minute</span>} />
      <Problem error={error} />
      <Panel title={`${count(workers.length)} worker ${workers.length === 1 ? "process" : "processes"}`}>
        {loading ? (
          <Loading />
        ) : workers.length === 0 ? (
          <p class="empty">No worker reports. Nothing that is enqueued will run until one does.</p>
        ) : (
          <WorkerTable workers={workers} />
        )}
      </Panel>
    </>
  );
}

function WorkerTable({ workers }: { workers: readonly WorkerJson[] }) {
  return (
    <TableFrame label="Worker processes">
      <thead>
        <tr>
          <th scope="col">Worker</th>
          <th scope="col">Host</th>
          <th scope="col" class="number">
            Process
          </th>
          <th scope="col">Release</th>
          <th scope="col">Started</th>
          <th scope="col">Last heartbeat</th>
          <th scope="col" class="number">
            Memory
          </th>
          <th scope="col">Busy</th>
          <th scope="col">Queues, running of at most</th>
        </tr>
      </thead>
      <tbody>
        {workers.map((worker) => (
          <WorkerRow key={worker.id} worker={worker} />
        ))}
      </tbody>
    </TableFrame>
  );
}

function WorkerRow({ worker }: { worker: WorkerJson }) {
  const queues = worker.queues ?? [];
  const busy = queues.reduce((sum, queue) => sum + (queue.active ?? 0), 0);
  const slots = queues.reduce((sum, queue) => sum + (queue.concurrency ?? 0), 0);
  return (
    <tr>
      <th scope="row">
        <code>{worker.id}</code> {worker.draining && <span class="badge degraded">draining</span>}
      </th>
      <td>{worker.host}</td>
      <td class="number">{worker.pid}</td>
      <td>{worker.version}</td>
      <td>
        <Ago time={worker.startTime} />
      </td>
      <td>
        <Ago time={worker.heartbeatTime} />
      </td>
      <td class="number">{bytes(worker.memoryBytes)}</td>
      <td>
        <ProgressBar value={slots > 0 ? (busy / slots) * 100 : 0} label={`${busy} of ${slots} slots busy`} />
      </td>
      <td class="wide">
        {queues.map((queue) => (
          <span key={queue.queueName} class="served">
            <a href={links.queue(queue.queueName ?? "", { state: "active" })}>{queue.queueName}</a>{" "}
            {count(queue.active)}/{count(queue.concurrency)}{" "}
          </span>
        ))}
      </td>
    </tr>
  );
}
