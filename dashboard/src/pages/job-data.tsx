/** Which job, and what it works on: as a form or as JSON. What enqueues a job and what schedules one share it. */

import { useEffect, useState } from "preact/hooks";
import type { JobTypeJson } from "../gen/qcollector/jobs/v1/queue_pb";
import { jobTypes, schemaOf, wantComments } from "../live/job-types";
import type { Problems } from "../schema/check";
import { ObjectFields } from "../schema/form";
import type { Json } from "../schema/schema";
import { admits } from "../session";

/** The types that the caller may enqueue. */
function offered(): readonly JobTypeJson[] {
  return jobTypes.value?.filter((type) => admits(type.minimumRole)) ?? [];
}

interface TypeChoiceProps {
  readonly queue: string;
  readonly word: string;
  readonly onChange: (queue: string, word: string) => void;
}

export function TypeChoice({ queue, word, onChange }: TypeChoiceProps) {
  const types = offered();
  const names = [...new Set(types.map((type) => type.queueName ?? ""))];
  return (
    <label class="field">
      <span>Job type</span>
      <select
        value={word === "" ? "" : `${queue}/${word}`}
        required
        onChange={(event) => {
          const [first = "", second = ""] = event.currentTarget.value.split("/");
          onChange(first, second);
        }}
      >
        <option value="" disabled>
          choose a type
        </option>
        {names.map((name) => (
          <optgroup key={name} label={name}>
            {types
              .filter((type) => type.queueName === name)
              .map((type) => (
                <option key={type.jobType} value={`${name}/${type.jobType}`}>
                  {name} / {type.jobType}
                </option>
              ))}
          </optgroup>
        ))}
      </select>
    </label>
  );
}

interface DataEditorProps {
  readonly type: JobTypeJson;
  readonly value: Json;
  readonly problems: Problems;
  readonly onChange: (value: Json) => void;
  /** Whether what is typed as JSON can be read. */
  readonly onReadable: (readable: boolean) => void;
}

/** What the job works on. Both views show the same value. */
export function DataEditor({ type, value, problems, onChange, onReadable }: DataEditorProps) {
  const [text, setText] = useState<string | null>(null);
  const schema = schemaOf(type);
  useEffect(wantComments, []);
  const typed = (next: string): void => {
    setText(next);
    try {
      onChange(JSON.parse(next) as Json);
      onReadable(true);
    } catch {
      onReadable(false);
    }
  };
  const show = (raw: boolean): void => {
    setText(raw ? JSON.stringify(value ?? {}, null, 2) : null);
    onReadable(true);
  };
  return (
    <section aria-label="Data" class="stack data">
      <fieldset class="tabs" aria-label="How the data is shown">
        <button type="button" aria-pressed={text === null} onClick={() => show(false)}>
          Form
        </button>
        <button type="button" aria-pressed={text !== null} onClick={() => show(true)}>
          JSON
        </button>
      </fieldset>
      {schema.description && <p class="hint">{schema.description}</p>}
      {text === null ? (
        <ObjectFields schema={schema} root={schema} path="data" value={value} problems={problems} onChange={onChange} />
      ) : (
        <label class="field">
          <span>Data as JSON</span>
          <textarea
            class="code tall"
            spellcheck={false}
            value={text}
            onInput={(event) => typed(event.currentTarget.value)}
          />
        </label>
      )}
      {text !== null && <ProblemList problems={problems} />}
    </section>
  );
}

/** All that is wrong, by field: where no field is beside it. */
export function ProblemList({ problems }: { problems: Problems }) {
  if (problems.size === 0) return null;
  return (
    <ul class="problem">
      {[...problems].map(([field, text]) => (
        <li key={field}>
          <code>{field}</code> {text}
        </li>
      ))}
    </ul>
  );
}

/** The options that are typed as text, as the contract has them. */
export interface OptionsDraft {
  readonly priority: string;
  readonly delaySeconds: string;
  readonly runAt: string;
  readonly expireAt: string;
  readonly attempts: string;
  readonly timeoutSeconds: string;
  readonly jobId: string;
}

export const NO_OPTIONS: OptionsDraft = {
  priority: "",
  delaySeconds: "",
  runAt: "",
  expireAt: "",
  attempts: "",
  timeoutSeconds: "",
  jobId: "",
};

const CONTROLS: readonly (readonly [keyof OptionsDraft, string, string, string])[] = [
  ["priority", "Priority", "number", "options.priority"],
  ["attempts", "Attempts", "number", "options.attempts"],
  ["timeoutSeconds", "Timeout in seconds", "number", "options.timeout"],
  ["delaySeconds", "Delay in seconds", "number", "options.delay"],
  ["runAt", "Run at", "datetime-local", "options.runAt"],
  ["expireAt", "Expire at", "datetime-local", "options.expireAt"],
  ["jobId", "Job id of your own", "text", "options.jobId"],
];
/** What a single job can have, and jobs of a schedule cannot. */
const ONCE: ReadonlySet<string> = new Set(["delaySeconds", "runAt", "expireAt", "jobId"]);

interface OptionsEditorProps {
  readonly draft: OptionsDraft;
  readonly problems: Problems;
  readonly recurring?: boolean;
  readonly onChange: (draft: OptionsDraft) => void;
}

export function OptionsEditor({ draft, problems, recurring = false, onChange }: OptionsEditorProps) {
  return (
    <fieldset class="group">
      <legend>Job options</legend>
      <p class="hint">What is empty takes the type's policy. A higher priority runs sooner.</p>
      <div class="option-grid">
        {CONTROLS.filter(([name]) => !(recurring && ONCE.has(name))).map(([name, label, kind, path]) => (
          <label key={name} class="field">
            <span>{label}</span>
            <input
              // Each kind has a type of its own for its attributes; these are ones that all have.
              type={kind as "text"}
              step={kind === "number" ? "any" : 1}
              value={draft[name]}
              aria-invalid={problems.has(path)}
              onInput={(event) => onChange({ ...draft, [name]: event.currentTarget.value })}
            />
            <span class="field-problem">{problems.get(path)}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
