/** What an operator sets for a whole queue: its limits, and how old a finished job may be. */

import { useState } from "preact/hooks";
import { cleanQueue, updateQueue } from "../api/calls";
import { ApiError, messageOf, type Violation } from "../api/errors";
import type { QueueLimitsJson } from "../gen/qcollector/jobs/v1/queue_pb";
import { Dialog } from "../ui/dialog";
import { plural } from "../ui/format";
import { tell } from "../ui/toasts";

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

function number(data: FormData, name: string): number {
  return Number(data.get(name) ?? 0);
}

export function LimitsButton({ queue, limits }: { queue: string; limits: QueueLimitsJson | undefined }) {
  const [open, setOpen] = useState(false);
  const run = async (data: FormData): Promise<string> => {
    const max = number(data, "max");
    await updateQueue(queue, {
      maxActive: number(data, "maxActive"),
      rate: { max, period: max === 0 ? 0 : Math.round(number(data, "period") * 1000) },
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
          <label class="field">
            <span>Most jobs active at once</span>
            <input
              type="number"
              name="maxActive"
              min={0}
              max={100000}
              required
              defaultValue={String(limits?.maxActive ?? 0)}
            />
          </label>
          <label class="field">
            <span>Most jobs started in each period</span>
            <input
              type="number"
              name="max"
              min={0}
              max={1000000}
              required
              defaultValue={String(limits?.rate?.max ?? 0)}
            />
          </label>
          <label class="field">
            <span>Period in seconds</span>
            <input
              type="number"
              name="period"
              min={0.001}
              max={86400}
              step="any"
              required
              defaultValue={String((limits?.rate?.period || 60000) / 1000)}
            />
          </label>
        </FormDialog>
      )}
    </>
  );
}

const UNITS = [
  ["minutes", 60_000],
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
            <label class="field">
              <span>Age</span>
              <input type="number" name="age" min={0} max={3650} step="any" required defaultValue="1" />
            </label>
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
