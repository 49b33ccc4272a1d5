/** Bulk actions: counted before, confirmed with the count, reported after. */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { actOnMany, type BulkReport, type Chosen, type JobAction } from "../api/calls";
import { messageOf } from "../api/errors";
import { Dialog } from "../ui/dialog";
import { count, plural } from "../ui/format";

/** What is said of each action. */
export const WORDS: Readonly<Record<JobAction, { verb: string; past: string; danger: boolean }>> = {
  retry: { verb: "Retry", past: "retried", danger: false },
  promote: { verb: "Promote", past: "promoted", danger: false },
  cancel: { verb: "Cancel", past: "cancelled", danger: true },
  delete: { verb: "Remove", past: "removed", danger: true },
};

interface BulkProps {
  readonly action: JobAction;
  readonly queue: string;
  readonly chosen: Chosen;
  /** What was chosen, in words. */
  readonly what: string;
  /** `changed` tells whether something was done. */
  readonly onClose: (changed: boolean) => void;
}

type Stage =
  | { readonly at: "counting" }
  | { readonly at: "counted"; readonly report: BulkReport }
  | { readonly at: "acting"; readonly report: BulkReport }
  | { readonly at: "done"; readonly report: BulkReport }
  | { readonly at: "failed"; readonly message: string };

/** Asked before many jobs are changed. */
export function BulkDialog({ action, queue, chosen, what, onClose }: BulkProps) {
  const [stage, setStage] = useState<Stage>({ at: "counting" });
  const [touched, setTouched] = useState(false);
  const { verb, past, danger } = WORDS[action];
  const run = async (validateOnly: boolean): Promise<void> => {
    try {
      const report = await actOnMany(action, queue, chosen, validateOnly);
      setStage({ at: validateOnly ? "counted" : "done", report });
    } catch (error) {
      setStage({ at: "failed", message: messageOf(error) });
    }
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is asked for does not change while the dialog is open.
  useEffect(() => void run(true), []);
  const act = (report: BulkReport): void => {
    setTouched(true);
    setStage({ at: "acting", report });
    void run(false);
  };
  return (
    <Dialog title={`${verb} jobs of ${queue}`} onClose={() => onClose(touched)}>
      <div class="dialog-body" role="status">
        {stage.at === "counting" && <p>Counting {what}…</p>}
        {stage.at === "counted" && <Counted stage={stage} what={what} past={past} />}
        {stage.at === "acting" && <p>Working on {plural(stage.report.matched ?? 0, "job")}…</p>}
        {stage.at === "done" && <Report report={stage.report} past={past} />}
        {stage.at === "failed" && <p class="problem">{stage.message}</p>}
      </div>
      <Foot>
        <button type="button" onClick={() => onClose(touched)}>
          {stage.at === "done" || stage.at === "failed" ? "Close" : "Keep as they are"}
        </button>
        {stage.at === "counted" && (stage.report.matched ?? 0) > 0 && (
          <button type="button" class={danger ? "danger" : "primary"} onClick={() => act(stage.report)}>
            {verb} {plural(stage.report.matched ?? 0, "job")}
          </button>
        )}
        {stage.at === "done" && stage.report.more === true && (
          <button type="button" class={danger ? "danger" : "primary"} onClick={() => act(stage.report)}>
            Go on with the rest
          </button>
        )}
      </Foot>
    </Dialog>
  );
}

function Foot({ children }: { children: ComponentChildren }) {
  return <footer class="dialog-foot">{children}</footer>;
}

function Counted({ stage, what, past }: { stage: { report: BulkReport }; what: string; past: string }) {
  const matched = stage.report.matched ?? 0;
  if (matched === 0)
    return (
      <p>
        Of {what}, none is in a state in which it can be {past}.
      </p>
    );
  return (
    <p>
      Of {what}, <strong>{count(matched)}</strong> can be {past}
      {stage.report.more ? ", and more after them" : ""}.
    </p>
  );
}

function Report({ report, past }: { report: BulkReport; past: string }) {
  const failures = report.failures ?? [];
  return (
    <>
      <p>
        <strong>{plural(report.changed ?? 0, "job")}</strong> of {count(report.matched)} {past}.
        {report.more && " More jobs match than one call changes."}
      </p>
      {failures.length > 0 && (
        <>
          <p>{plural(failures.length, "job was", "jobs were")} left as they were:</p>
          <ul class="failures">
            {failures.map((failure) => (
              <li key={failure.jobId}>
                <code>{failure.jobId}</code> {failure.error?.message}
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}
