/** A new job: a form that the contract's own rules make, checked by the service before anything is enqueued. */

import { useEffect, useState } from "preact/hooks";
import { enqueueJob, getJob } from "../api/calls";
import { ApiError, messageOf } from "../api/errors";
import type { EnqueueJobRequestJson } from "../gen/qcollector/jobs/v1/enqueue_pb";
import type { JobOptionsJson } from "../gen/qcollector/jobs/v1/job_pb";
import type { JobTypeJson } from "../gen/qcollector/jobs/v1/queue_pb";
import { jobTypes, schemaOf, typeOf, typesOf } from "../live/job-types";
import { go, links, route } from "../route";
import { check, type Problems } from "../schema/check";
import { fromPayload, initial, type Json } from "../schema/schema";
import { roleWord } from "../session";
import { duration, fromLocalInput } from "../ui/format";
import { Loading, PageHead, Panel, Problem } from "../ui/pieces";
import { tell } from "../ui/toasts";
import { only } from "./job";
import { DataEditor, NO_OPTIONS, type OptionsDraft, OptionsEditor, TypeChoice } from "./job-data";

export function Enqueue() {
  const { query } = route.value;
  const queue = query.get("queue") ?? "";
  const [first] = typesOf(queue);
  const word = query.get("type") ?? first?.jobType ?? "";
  const from = query.get("from") ?? "";
  const type = typeOf(queue, word);
  return (
    <>
      <PageHead title="Enqueue a job" />
      {jobTypes.value === null ? (
        <Loading />
      ) : (
        <div class="form">
          <Panel title={type ? `${queue} / ${word}` : "Which job?"}>
            <div class="panel-body stack">
              <TypeChoice
                queue={queue}
                word={word}
                onChange={(nextQueue, next) => go(links.enqueue({ queue: nextQueue, type: next }))}
              />
              {type && <Policy type={type} />}
              {type && <Prefilled key={`${queue} ${word} ${from}`} type={type} from={from} />}
            </div>
          </Panel>
        </div>
      )}
    </>
  );
}

function Policy({ type }: { type: JobTypeJson }) {
  return (
    <p class="faint">
      {type.description} {type.attempts} attempts, {type.backoff?.type} backoff of {duration(type.backoff?.delay ?? 0)},
      each for at most {duration(type.timeoutMs ?? 0)}. For {roleWord(type.minimumRole)} and above.
    </p>
  );
}

/** The form, with the data of the job that is duplicated, once it is there. */
function Prefilled({ type, from }: { type: JobTypeJson; from: string }) {
  const schema = schemaOf(type);
  const [start, setStart] = useState<Json>(from === "" ? initial(schema, schema) : undefined);
  const [error, setError] = useState<ApiError>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key makes a new one for another type or job.
  useEffect(() => {
    if (from === "") return;
    getJob(type.queueName ?? "", from).then(
      (job) =>
        setStart({
          ...(initial(schema, schema) as object),
          ...(fromPayload(only(job.payload), schema, schema) as object),
        }),
      (failure: unknown) => setError(failure instanceof ApiError ? failure : new ApiError(0, String(failure))),
    );
  }, []);
  if (error) return <Problem error={error} />;
  if (start === undefined) return <Loading />;
  return <JobForm type={type} start={start} copied={from !== ""} />;
}

const NO_PROBLEMS: Problems = new Map();

function JobForm({ type, start, copied }: { type: JobTypeJson; start: Json; copied: boolean }) {
  const [data, setData] = useState<Json>(start);
  const [options, setOptions] = useState<OptionsDraft>(NO_OPTIONS);
  const [problems, setProblems] = useState<Problems>(NO_PROBLEMS);
  const [message, setMessage] = useState<{ text: string; good: boolean }>();
  const [readable, setReadable] = useState(true);
  const [busy, setBusy] = useState(false);

  const send = async (validateOnly: boolean): Promise<void> => {
    const wrong = check(data, schemaOf(type), "data");
    setProblems(wrong);
    if (wrong.size > 0) {
      setMessage({ text: "Some fields are not right yet. Each says why.", good: false });
      return;
    }
    setBusy(true);
    try {
      const answer = await enqueueJob({ ...requestOf(type, data, options), validateOnly });
      if (validateOnly) {
        setMessage({ text: "The service would take this job.", good: true });
      } else {
        tell(answer.duplicate ? `Job ${answer.jobId} was there already` : `Job ${answer.jobId} is enqueued`);
        go(links.job(answer.queueName ?? "", answer.jobId ?? ""));
      }
    } catch (error) {
      if (error instanceof ApiError) setProblems(new Map(error.violations.map((one) => [one.field, one.description])));
      setMessage({ text: messageOf(error), good: false });
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void send(false);
      }}
    >
      {copied && <p class="hint">Copied from another job. Sensitive values are not: type them again.</p>}
      <DataEditor type={type} value={data} problems={problems} onChange={setData} onReadable={setReadable} />
      <OptionsEditor draft={options} problems={problems} onChange={setOptions} />
      <div role="status">
        {!readable && <p class="problem">What is typed is not JSON.</p>}
        {message && <p class={message.good ? "notice" : "problem"}>{message.text}</p>}
      </div>
      <div class="tools">
        <button type="submit" class="primary" disabled={busy || !readable}>
          Enqueue job
        </button>
        <button type="button" disabled={busy || !readable} onClick={() => void send(true)}>
          Check only
        </button>
      </div>
    </form>
  );
}

function requestOf(type: JobTypeJson, data: Json, options: OptionsDraft): EnqueueJobRequestJson {
  return {
    queueName: type.queueName ?? "",
    jobType: type.jobType ?? "",
    data: (data ?? {}) as NonNullable<EnqueueJobRequestJson["data"]>,
    options: optionsOf(options),
  };
}

/** What is typed as options, as the contract has it; what is empty is left out. */
export function optionsOf(draft: OptionsDraft): JobOptionsJson {
  const number = (text: string, factor = 1): number | undefined => (text === "" ? undefined : Number(text) * factor);
  const all = {
    priority: number(draft.priority),
    attempts: number(draft.attempts),
    timeout: number(draft.timeoutSeconds, 1000),
    delay: number(draft.delaySeconds, 1000),
    runAt: fromLocalInput(draft.runAt) || undefined,
    expireAt: fromLocalInput(draft.expireAt) || undefined,
    jobId: draft.jobId || undefined,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as JobOptionsJson;
}
