/** The way of a job from its creation to its end, with the time between the steps. */

import type { JobJson } from "../gen/qcollector/jobs/v1/job_pb";
import { dateTime, duration } from "../ui/format";
import { Ago, now } from "../ui/pieces";
import { hasEnded, stateWord } from "../ui/state";

interface Step {
  readonly label: string;
  readonly time: string;
  readonly kind: "past" | "bad" | "good" | "now" | "next";
  readonly detail?: string;
}

/** What is known of the job's way, in the order of time. */
function stepsOf(job: JobJson): Step[] {
  const state = stateWord(job.state);
  const steps: Step[] = [];
  const add = (time: string | undefined, label: string, kind: Step["kind"], detail = ""): void => {
    if (time) steps.push({ time, label, kind, ...(detail && { detail }) });
  };
  const failures = job.failures ?? [];
  add(job.createTime, "Created", "past", job.createdBy ? `by ${job.createdBy.name || job.createdBy.id}` : "");
  failures.forEach((failure, place) => {
    add(failure.time, `Attempt ${place + 1} failed`, "bad", failure.worker && `on ${failure.worker}`);
  });
  const started = job.startTime ?? "";
  const lastFailure = failures.at(-1)?.time ?? "";
  if (started !== "" && Date.parse(started) >= (Date.parse(lastFailure) || 0)) {
    add(
      started,
      `Attempt ${failures.length + 1} started`,
      state === "active" ? "now" : "past",
      job.worker && `on ${job.worker}`,
    );
  }
  if (state === "delayed") add(job.runTime, failures.length > 0 ? "Next attempt" : "Due", "next");
  if (hasEnded(state)) {
    const kind = state === "completed" ? "good" : "bad";
    const label = { completed: "Completed", failed: "Failed for good" }[state] ?? "Cancelled";
    add(job.endTime, label, kind);
  }
  return steps.sort((one, other) => Date.parse(one.time) - Date.parse(other.time));
}

function afterWords(before: Step, step: Step): string {
  return `after ${duration(Date.parse(step.time) - Date.parse(before.time))}`;
}

export function Timeline({ job }: { job: JobJson }) {
  const steps = stepsOf(job);
  const state = stateWord(job.state);
  const last = steps.at(-1);
  return (
    <ol class="timeline">
      {steps.map((step, place) => {
        const before = steps[place - 1];
        return (
          <li key={`${step.label} ${step.time}`} class={step.kind}>
            <strong>{step.label}</strong> <time dateTime={step.time}>{dateTime(step.time)}</time>{" "}
            <span class="faint">
              {step.kind === "next" ? <Ago time={step.time} /> : before && afterWords(before, step)}
            </span>
            {step.detail && <div class="detail">{step.detail}</div>}
          </li>
        );
      })}
      {last && state === "active" && (
        <li class="now">
          <strong>Running</strong>{" "}
          <span class="faint">for {duration(now.value - Date.parse(job.startTime ?? ""))}</span>
        </li>
      )}
      {last && state === "waiting" && (
        <li class="now">
          <strong>Waiting</strong> <span class="faint">for {duration(now.value - Date.parse(last.time))}</span>
        </li>
      )}
    </ol>
  );
}
