/** The job types of the service, with policy and JSON Schema: asked for once a session, since they change with a release alone. */

import { effect, signal } from "@preact/signals";
import { listJobTypes } from "../api/calls";
import { lost } from "../api/stream";
import type { JobTypeJson } from "../gen/qcollector/jobs/v1/queue_pb";
import { session } from "../session";

/** Null until they have come. */
export const jobTypes = signal<readonly JobTypeJson[] | null>(null);

/** Asks for them when somebody has signed in, and again once a lost connection is back. */
export function loadJobTypes(): void {
  effect(() => {
    const token = session.value?.token;
    if (token === undefined) {
      jobTypes.value = null;
      return;
    }
    if (lost.value.size > 0 || jobTypes.peek() !== null) return;
    listJobTypes().then(
      (answer) => {
        if (session.peek()?.token === token) jobTypes.value = answer.jobTypes ?? [];
      },
      // Without them there are no forms; the banner tells of the connection.
      () => undefined,
    );
  });
}

export function typesOf(queue: string): readonly JobTypeJson[] {
  return jobTypes.value?.filter((type) => type.queueName === queue) ?? [];
}

export function typeOf(queue: string | undefined, word: string | undefined): JobTypeJson | undefined {
  return jobTypes.value?.find((type) => type.queueName === queue && type.jobType === word);
}
