/** What an operator sets for a whole queue: whether it runs, its limits, and how old a finished job may be. */

import { useState } from "preact/hooks";
import { cleanQueue, setPaused, updateQueue } from "../api/calls";
import { ApiError, messageOf, type Violation } from "../api/errors";
import type { QueueLimitsJson, QueuePauseJson } from "../gen/qcollector/jobs/v1/queue_pb";
import { Action } from "../ui/action";
import { Dialog } from "../ui/dialog";
import { dateTime, plural } from "../ui/format";
import { tell } from "../ui/toasts";

/** That a queue is paused, and by whom, since when and why. */
export function PausedBadge({ pause }: { pause: QueuePauseJson | undefined }) {
  const by = pause?.by?.name || pause?.by?.id;
  const told = [by && `by ${by}`, pause?.time && `since ${dateTime(pause.time)}`].filter(Boolean).join(" ");
  return (
    <>
      <span class="badge paused">paused</span> {told}
      {pause?.reason && `: ${pause.reason}`}
    </>
  );
}

export function PauseButton({ queue, paused }: { queue: string; paused: boolean }) {
  const label = paused ? "Resume" : "Pause";
  return (
    <Action
      label={label}
      name={`${label} ${queue}`}
      run={() => setPaused(queue, !paused)}
      done={`${queue} ${paused ? "runs again" : "is paused"}`}
    />
  );
}

interface FormDialogProps {
  readonly title: string;
  readonly confirm: string;
  readonly danger?: boolean;
  readonly onClose: () => void;
  /** Does it; what it answers is told. */
  readonly run: (data: FormData) => Promise<string>;
  readonly children: preact.ComponentChildren;
}

function FormDialog({ title, confirm, danger = false, onClose, run, children }: FormDialogProps) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    try {
      tell(await run(data));
      onClose();
    } catch (error) {
      const said =
        error instanceof ApiError ? error.violations.map((one: Violation) => `${one.field} ${one.description}`) : [];
      setProblem([messageOf(error), ...said].join(" "));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        <div class="dialog-body">
          {children}
          {problem && (
            <p class="problem" role="alert">
              {problem}
            </p>
          )}
        </div>
        <footer class="dialog-foot">
          <button type="button" onClick={onClose}>
            Keep as it is
          </button>
          <button type="submit" class={danger ? "danger" : "primary"} disabled={busy}>
            {confirm}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

const MINUTE_MS = 60_000;

function number(data: FormData, name: string): number {
  return Number(data.get(name) ?? 0);
}

interface NumberFieldProps {
  readonly label: string;
  readonly name: string;
  readonly min?: number;
  readonly max: number;
  readonly step?: "any" | 1;
  readonly value: number;
}

function NumberField({ label, name, min = 0, max, step = 1, value }: NumberFieldProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <input type="number" name={name} min={min} max={max} step={step} required defaultValue={String(value)} />
    </label>
  );
}

export function LimitsButton({ queue, limits }: { queue: string; limits: QueueLimitsJson | undefined }) {
  const [open, setOpen] = useState(false);
  const rate = limits?.rate;
  const run = async (data: FormData): Promise<string> => {
    const max = number(data, "max");
    await updateQueue(queue, {
      ...(limits?.etag && { etag: limits.etag }),
      maxActive: number(data, "maxActive"),
      rate: { max, periodMs: max === 0 ? 0 : Math.round(number(data, "period") * 1000) },
    });
    return `The limits of ${queue} are set`;
  };
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Limits…
      </button>
      {open && (
        <FormDialog title={`Limits of ${queue}`} confirm="Set limits" run={run} onClose={() => setOpen(false)}>
          <p class="hint">They hold over all workers together. 0 means no limit.</p>
          <NumberField label="Most jobs active at once" name="maxActive" max={100_000} value={limits?.maxActive ?? 0} />
          <NumberField label="Most jobs started in each period" name="max" max={1_000_000} value={rate?.max ?? 0} />
          <NumberField
            label="Period in seconds"
            name="period"
            min={0.001}
            max={86_400}
            step="any"
            value={(rate?.periodMs || MINUTE_MS) / 1000}
          />
        </FormDialog>
      )}
    </>
  );
}

const UNITS = [
  ["minutes", MINUTE_MS],
  ["hours", 3_600_000],
  ["days", 86_400_000],
] as const;

export function CleanButton({ queue }: { queue: string }) {
  const [open, setOpen] = useState(false);
  const run = async (data: FormData): Promise<string> => {
    const unit = UNITS.find(([word]) => word === data.get("unit"))?.[1] ?? 0;
    const { removed } = await cleanQueue(queue, number(data, "age") * unit);
    const total = (removed?.completed ?? 0) + (removed?.failed ?? 0) + (removed?.cancelled ?? 0);
    return `${plural(total, "job")} removed: ${removed?.completed ?? 0} completed, ${removed?.failed ?? 0} failed, ${removed?.cancelled ?? 0} cancelled`;
  };
  return (
    <>
      <button type="button" class="danger-quiet" onClick={() => setOpen(true)}>
        Clean…
      </button>
      {open && (
        <FormDialog title={`Clean ${queue}`} confirm="Remove them" danger run={run} onClose={() => setOpen(false)}>
          <p>Removes completed, failed and cancelled jobs that ended longer ago than:</p>
          <div class="pair">
            <NumberField label="Age" name="age" max={3650} step="any" value={1} />
            <label class="field">
              <span>Unit</span>
              <select name="unit" defaultValue="days">
                {UNITS.map(([word]) => (
                  <option key={word} value={word} selected={word === "days"}>
                    {word}
                  </option>
                ))}
              </select>
            </label>
          </div>
        </FormDialog>
      )}
    </>
  );
}
