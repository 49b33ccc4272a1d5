/** The calls of the contract that the board makes: one function for each, typed by the contract's own messages. */

import type { EnqueueJobRequestJson, EnqueueJobResponseJson } from "../gen/qcollector/jobs/v1/enqueue_pb";
import type { CancelJobResponseJson } from "../gen/qcollector/jobs/v1/job_actions_pb";
import type { BatchRetryJobsResponseJson, JobFilterJson } from "../gen/qcollector/jobs/v1/job_bulk_pb";
import type { JobJson } from "../gen/qcollector/jobs/v1/job_pb";
import type {
  GetJobResponseJson,
  ListJobLogsResponseJson,
  ListJobsResponseJson,
} from "../gen/qcollector/jobs/v1/job_queries_pb";
import type {
  GetDashboardResponseJson,
  ListJobTypesResponseJson,
  ListWorkersResponseJson,
} from "../gen/qcollector/jobs/v1/overview_pb";
import type { JobTypeJson, WorkerJson } from "../gen/qcollector/jobs/v1/queue_pb";
import type {
  CleanQueueResponseJson,
  UpdateQueueRequestJson,
  UpdateQueueResponseJson,
} from "../gen/qcollector/jobs/v1/queue_requests_pb";
import type {
  CreateScheduleRequestJson,
  CreateScheduleResponseJson,
  GetScheduleResponseJson,
  ListScheduleRunsResponseJson,
  ListSchedulesResponseJson,
  PreviewScheduleResponseJson,
  ScheduleJson,
  TriggerScheduleResponseJson,
  UpdateScheduleRequestJson,
} from "../gen/qcollector/jobs/v1/schedule_service_pb";
import { segment } from "../route";
import { allPages, type Parameters, request, send } from "./client";

const QUEUES = "/api/v1/queue";
const SCHEDULES = "/api/v1/schedules";

const queuePath = (queue: string): string => `${QUEUES}/${segment(queue)}`;
const jobPath = (queue: string, id: string): string => `${queuePath(queue)}/jobs/${segment(id)}`;
const schedulePath = (name: string): string => `${SCHEDULES}/${segment(name)}`;

export const queueEventsPath = (): string => `${QUEUES}/events`;
export const jobEventsPath = (queue: string, id: string, after: string): string =>
  `${jobPath(queue, id)}/events${after && `?afterSequence=${encodeURIComponent(after)}`}`;

// What an operator looks at first.

export const getDashboard = (signal: AbortSignal) =>
  request<GetDashboardResponseJson>(`${QUEUES}/dashboard`, { signal });
export const listWorkers = async (signal: AbortSignal): Promise<WorkerJson[]> => {
  const pages = await allPages<ListWorkersResponseJson>(`${QUEUES}/workers`, { signal });
  return pages.flatMap((page) => page.workers ?? []);
};
export const listJobTypes = async (): Promise<JobTypeJson[]> =>
  (await allPages<ListJobTypesResponseJson>(`${QUEUES}/job-types`)).flatMap((page) => page.jobTypes ?? []);

// Queues.

export const setPaused = (queue: string, paused: boolean) =>
  request(`${queuePath(queue)}/${paused ? "pause" : "resume"}`, { method: "POST", body: {} });
export const cleanQueue = (queue: string, grace: number) =>
  request<CleanQueueResponseJson>(`${queuePath(queue)}/clean`, { method: "POST", body: { grace } });
export const updateQueue = (queue: string, limits: Omit<UpdateQueueRequestJson, "queueName">) =>
  request<UpdateQueueResponseJson>(queuePath(queue), { method: "PATCH", body: limits });

// Jobs.

export interface JobsQuery {
  readonly filter: JobFilterJson;
  readonly orderBy?: string;
  readonly pageSize?: number;
  readonly pageToken?: string;
}

export const listJobs = (queue: string, { filter, ...page }: JobsQuery, signal?: AbortSignal) =>
  request<ListJobsResponseJson>(`${queuePath(queue)}/jobs`, {
    query: { ...(filter as Parameters), ...page },
    ...(signal && { signal }),
  });

export const getJob = async (queue: string, id: string, full = false): Promise<JobJson> => {
  const query = full ? { view: "JOB_VIEW_FULL" } : {};
  return (await request<GetJobResponseJson>(jobPath(queue, id), { query })).data ?? {};
};
export const listJobLogs = (queue: string, id: string, signal: AbortSignal) =>
  request<ListJobLogsResponseJson>(`${jobPath(queue, id)}/logs`, { signal });
export const downloadResult = (queue: string, id: string) => send(`${jobPath(queue, id)}/result`, {}, "*/*");
export const enqueueJob = (job: EnqueueJobRequestJson) =>
  request<EnqueueJobResponseJson>(`${QUEUES}/jobs`, { method: "POST", body: job });

export type JobAction = "retry" | "cancel" | "promote" | "delete";

/** Does it to one job. */
export async function act(action: JobAction, queue: string, id: string, reason: string): Promise<void> {
  if (action === "delete") await request(jobPath(queue, id), { method: "DELETE", query: { reason } });
  else await request<CancelJobResponseJson>(`${jobPath(queue, id)}/${action}`, { method: "POST", body: { reason } });
}

export type Chosen =
  | { readonly filter: JobFilterJson }
  | { readonly jobIds: readonly string[] }
  | { readonly all: true };

/** Those that a filter names; without a condition all. */
export const chosenBy = (filter: JobFilterJson): Chosen =>
  Object.keys(filter).length === 0 ? { all: true } : { filter };

/** What the four bulk calls answer, each under a name of its own. */
export type BulkReport = BatchRetryJobsResponseJson;

/** One call of a bulk action, which looks at a part of the queue: `nextPageToken` goes on. With `validateOnly` it counts. */
export const actOnMany = (
  action: JobAction,
  queue: string,
  chosen: Chosen,
  how: { readonly validateOnly?: boolean; readonly reason?: string; readonly pageToken?: string },
) => request<BulkReport>(`${queuePath(queue)}/jobs:${action}`, { method: "POST", body: { ...chosen, ...how } });

// Schedules.

/** All of them, whatever the number of pages. */
export async function listSchedules(signal: AbortSignal): Promise<ScheduleJson[]> {
  const schedules: ScheduleJson[] = [];
  let pageToken = "";
  do {
    const query = { pageSize: 500, pageToken };
    const page = await request<ListSchedulesResponseJson>(SCHEDULES, { query, signal });
    schedules.push(...(page.schedules ?? []));
    pageToken = page.nextPageToken ?? "";
  } while (pageToken !== "");
  return schedules;
}
export const getSchedule = async (name: string, signal?: AbortSignal): Promise<ScheduleJson> =>
  (await request<GetScheduleResponseJson>(schedulePath(name), signal && { signal })).schedule ?? {};
export const createSchedule = (schedule: CreateScheduleRequestJson) =>
  request<CreateScheduleResponseJson>(SCHEDULES, { method: "POST", body: schedule });
export const updateSchedule = (name: string, changes: Omit<UpdateScheduleRequestJson, "name">) =>
  request(schedulePath(name), { method: "PATCH", body: changes });
export const deleteSchedule = (name: string) => request(schedulePath(name), { method: "DELETE" });
export const setSchedulePaused = (name: string, paused: boolean) =>
  request(`${schedulePath(name)}/${paused ? "pause" : "resume"}`, { method: "POST", body: {} });
export const triggerSchedule = (name: string) =>
  request<TriggerScheduleResponseJson>(`${schedulePath(name)}/trigger`, { method: "POST", body: {} });
export const listScheduleRuns = (name: string, pageSize: number, signal: AbortSignal) =>
  request<ListScheduleRunsResponseJson>(`${schedulePath(name)}/runs`, { query: { pageSize }, signal });
export const previewSchedule = (cron: string, timezone: string, signal: AbortSignal) =>
  request<PreviewScheduleResponseJson>(`${SCHEDULES}:preview`, { method: "POST", body: { cron, timezone }, signal });
