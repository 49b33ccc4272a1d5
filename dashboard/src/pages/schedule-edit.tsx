/** A schedule made or changed: when it fires, previewed while it is typed, and its job. */

import { useState } from "preact/hooks";
import { createSchedule, getSchedule, previewSchedule, updateSchedule } from "../api/calls";
import { ApiError, messageOf } from "../api/errors";
import type { ScheduleJobJson, ScheduleJson } from "../gen/qcollector/jobs/v1/schedule_service_pb";
import { jobTypes, schemaOf, typeOf } from "../live/job-types";
import { useLoaded } from "../live/refresh";
import { go, links } from "../route";
import { check, type Problems } from "../schema/check";
import { fromPayload, initial, type Json } from "../schema/schema";
import { Loading, PageHead, Panel, Problem } from "../ui/pieces";
import { tell } from "../ui/toasts";
import { optionsOf } from "./enqueue";
import { only } from "./job";
import { DataEditor, NO_OPTIONS, type OptionsDraft, OptionsEditor, ProblemList, TypeChoice } from "./job-data";
import { NextTimes } from "./schedules";

export function NewSchedule() {
  return (
    <>
      <PageHead title="New schedule" />
      {jobTypes.value === null ? <Loading /> : <ScheduleForm />}
    </>
  );
}

export function EditSchedule({ name }: { name: string }) {
  const { data, error, reload } = useLoaded(`edit ${name}`, (signal) => getSchedule(name, signal), false);
  return (
    <>
      <PageHead title={`Edit ${name}`} />
      <Problem error={error} />
      {data === undefined || jobTypes.value === null ? (
        !error && <Loading />
      ) : (
        <ScheduleForm key={data.etag} old={data} reload={reload} />
      )}
    </>
  );
}

interface ScheduleFormProps {
  readonly old?: ScheduleJson;
  /** Reads the schedule again. */
  readonly reload?: () => void;
}

function ScheduleForm({ old, reload }: ScheduleFormProps) {
  const [draft, setDraft] = useState<WhenDraft>(draftOf(old));
  const [conflict, setConflict] = useState(false);
  const [job, setJob] = useState<ScheduleJobJson | undefined>();
  const [readable, setReadable] = useState(true);
  const [problems, setProblems] = useState<Problems>(new Map());
  const [message, setMessage] = useState("");
  const [busy, setBusy] = useState(false);

  const save = async (): Promise<void> => {
    const type = typeOf(job?.queueName, job?.jobType);
    const wrong: Problems = job && type ? check(job.data as Json, schemaOf(type), "data") : new Map();
    setProblems(wrong);
    setMessage(wrong.size > 0 ? "Some fields are not right yet. Each says why." : "");
    if (wrong.size > 0) return;
    setBusy(true);
    setConflict(false);
    try {
      const { name, ...when } = draft;
      const ofJob = job && { job };
      await (old
        ? updateSchedule(name, { ...changed(draftOf(old), when), ...ofJob, etag: old.etag ?? "" })
        : createSchedule({ name, ...when, ...ofJob }));
      tell(`${name} is saved`);
      go(links.schedule(name));
    } catch (error) {
      if (error instanceof ApiError) {
        setConflict(error.reason === "ETAG_MISMATCH");
        setProblems(new Map(error.violations.map((one) => [one.field.replace(/^job\./, ""), one.description])));
      }
      setMessage(messageOf(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="stack form"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <When draft={draft} made={old !== undefined} problems={problems} onChange={setDraft} />
      <Panel title="Job">
        <div class="panel-body stack">
          <JobEditor {...(old && { old })} job={job} problems={problems} onChange={setJob} onReadable={setReadable} />
        </div>
      </Panel>
      <div role="status">
        {message && <p class="problem">{message}</p>}
        {message && <ProblemList problems={problems} />}
        {conflict && (
          <button type="button" onClick={reload}>
            Drop my changes and load it anew
          </button>
        )}
      </div>
      <div class="tools">
        <button type="submit" class="primary" disabled={busy || !readable || (old === undefined && job === undefined)}>
          Save schedule
        </button>
        <a class="button" href={old ? links.schedule(draft.name) : links.schedules}>
          Back
        </a>
      </div>
    </form>
  );
}

function draftOf(schedule?: ScheduleJson): WhenDraft {
  return {
    name: schedule?.name ?? "",
    description: schedule?.description ?? "",
    cron: schedule?.cron ?? "0 3 * * *",
    timezone: schedule?.timezoneFollowsSetting ? "" : (schedule?.timezone ?? ""),
  };
}

/** The fields that differ: only they are sent, so that all else stays as it is. */
function changed(before: WhenDraft, when: Omit<WhenDraft, "name">): Partial<Omit<WhenDraft, "name">> {
  return {
    ...(when.description !== before.description && { description: when.description }),
    ...(when.cron !== before.cron && { cron: when.cron }),
    ...(when.timezone !== before.timezone && { timezone: when.timezone }),
  };
}

interface WhenDraft {
  readonly name: string;
  readonly description: string;
  readonly cron: string;
  readonly timezone: string;
}

interface WhenProps {
  readonly draft: WhenDraft;
  /** Whether the schedule is there already. */
  readonly made: boolean;
  readonly problems: Problems;
  readonly onChange: (draft: WhenDraft) => void;
}

function When({ draft, made, problems, onChange }: WhenProps) {
  const text = (field: keyof WhenDraft) => ({
    value: draft[field],
    problem: problems.get(field),
    onChange: (value: string) => onChange({ ...draft, [field]: value }),
  });
  return (
    <Panel title="When">
      <div class="panel-body stack">
        <Text
          label="Name"
          {...text("name")}
          disabled={made}
          required
          hint="Lower-case letters, digits and hyphens. It cannot be changed later."
        />
        <Text label="Purpose" {...text("description")} />
        <Text
          label="Cron expression"
          {...text("cron")}
          required
          hint="Minute, hour, day of month, month, day of week."
        />
        <Text
          label="Time zone"
          {...text("timezone")}
          hint="Such as Europe/Berlin. Empty follows the setting SCHEDULE_TIMEZONE."
        />
        <Preview cron={draft.cron} timezone={draft.timezone} />
      </div>
    </Panel>
  );
}

interface TextProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly problem: string | undefined;
  readonly hint?: string;
  readonly required?: boolean;
  readonly disabled?: boolean;
}

function Text({ label, value, onChange, problem, hint, required = false, disabled = false }: TextProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <input
        value={value}
        required={required}
        disabled={disabled}
        aria-invalid={problem !== undefined}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
      {hint && <span class="hint">{hint}</span>}
      <span class="field-problem">{problem}</span>
    </label>
  );
}

function Preview({ cron, timezone }: { cron: string; timezone: string }) {
  const { data, error } = useLoaded(
    `preview ${cron} ${timezone}`,
    (signal) => previewSchedule(cron, timezone, signal),
    false,
  );
  return (
    <div role="status" class="stack">
      {error && <p class="field-problem">{error.message}</p>}
      {data && (
        <>
          <p>{data.cronText}</p>
          <NextTimes times={data.times ?? []} zone={timezone} />
        </>
      )}
    </div>
  );
}

interface JobEditorProps {
  readonly old?: ScheduleJson;
  readonly job: ScheduleJobJson | undefined;
  readonly problems: Problems;
  readonly onChange: (job: ScheduleJobJson | undefined) => void;
  readonly onReadable: (readable: boolean) => void;
}

/** The job of a schedule that exists stays as it is until somebody says otherwise: its sensitive values are not shown. */
function JobEditor({ old, job, problems, onChange, onReadable }: JobEditorProps) {
  const [options, setOptions] = useState<OptionsDraft>(NO_OPTIONS);
  if (old && job === undefined) {
    return (
      <>
        <p>
          {old.queueName} / {old.jobType}, as it is.
        </p>
        <div class="tools">
          <button type="button" onClick={() => onChange(jobOf(old))}>
            Change the job
          </button>
        </div>
      </>
    );
  }
  const type = typeOf(job?.queueName, job?.jobType);
  return (
    <>
      <TypeChoice
        queue={job?.queueName ?? ""}
        word={job?.jobType ?? ""}
        onChange={(queueName, jobType) => {
          const schema = schemaOf(typeOf(queueName, jobType));
          onChange({ queueName, jobType, data: (initial(schema, schema) ?? {}) as Data });
        }}
      />
      {type && job && (
        <>
          <DataEditor
            key={`${job.queueName} ${job.jobType}`}
            type={type}
            value={job.data as Json}
            problems={problems}
            onChange={(data) => onChange({ ...job, data: (data ?? {}) as Data })}
            onReadable={onReadable}
          />
          <OptionsEditor
            draft={options}
            problems={problems}
            recurring
            onChange={(draft) => {
              setOptions(draft);
              onChange({ ...job, options: { ...old?.options, ...optionsOf(draft) } });
            }}
          />
        </>
      )}
    </>
  );
}

type Data = NonNullable<ScheduleJobJson["data"]>;

function jobOf(old: ScheduleJson): ScheduleJobJson {
  const schema = schemaOf(typeOf(old.queueName, old.jobType));
  return {
    queueName: old.queueName ?? "",
    jobType: old.jobType ?? "",
    data: (fromPayload(only(old.payload), schema, schema) ?? {}) as Data,
    ...(old.options && { options: old.options }),
  };
}
