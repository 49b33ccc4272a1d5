/** The job types of the service, with policy and JSON Schema: asked for once a session, since they change with a release alone. */

import { effect, signal } from "@preact/signals";
import { listJobTypes } from "../api/calls";
import { getDescription } from "../api/description";
import { lost } from "../api/stream";
import type { JobTypeJson } from "../gen/qcollector/jobs/v1/queue_pb";
import { type Comments, commented, type Schema } from "../schema/schema";
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
      (types) => {
        if (session.peek()?.token === token) jobTypes.value = types;
      },
      // Without them there are no forms; the banner tells of the connection.
      () => undefined,
    );
  });
}

const comments = signal<Comments>({});
let asked = false;

/** Asks for what forms say of the contract's own fields, once. Without it they show the rules alone. */
export function wantComments(): void {
  if (asked) return;
  asked = true;
  getDescription().then(
    (description) => {
      comments.value = description.components.schemas;
    },
    () => {
      asked = false;
    },
  );
}

/** The schema of a type's data, with what is known of its fields. */
export function schemaOf(type: JobTypeJson | undefined): Schema {
  return commented((type?.schema ?? {}) as Schema, type?.payloadMessage ?? "", comments.value);
}

export function typesOf(queue: string): readonly JobTypeJson[] {
  return jobTypes.value?.filter((type) => type.queueName === queue) ?? [];
}

export function typeOf(queue: string | undefined, word: string | undefined): JobTypeJson | undefined {
  return jobTypes.value?.find((type) => type.queueName === queue && type.jobType === word);
}
