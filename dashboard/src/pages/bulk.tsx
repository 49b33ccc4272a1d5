/** Bulk actions: counted before, confirmed with the count, reported after. */

import { useEffect, useRef, useState } from "preact/hooks";
import { actOnMany, type BulkReport, type Chosen, type JobAction } from "../api/calls";
import { messageOf } from "../api/errors";
import type { BatchJobFailureJson } from "../gen/qcollector/jobs/v1/job_bulk_pb";
import { Reason } from "../ui/action";
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

/** What the calls so far came to, together. */
interface Tally {
  readonly matched: number;
  readonly changed: number;
  readonly failures: readonly BatchJobFailureJson[];
  /** Where the last call ended before the jobs did; empty once none is left. */
  readonly next: string;
}

type Stage =
  | { readonly at: "counting" | "counted" | "acting" | "done" }
  | { readonly at: "failed"; readonly message: string };

const FAILURES_SHOWN = 100;

const NONE: Tally = { matched: 0, changed: 0, failures: [], next: "" };

const added = (tally: Tally, report: BulkReport): Tally => ({
  matched: tally.matched + (report.matched ?? 0),
  changed: tally.changed + (report.changed ?? 0),
  failures: [...tally.failures, ...(report.failures ?? [])],
  next: report.nextPageToken ?? "",
});

/** Asked before many jobs are changed. Stopping it, or closing the dialog, lets the call under way end. */
export function BulkDialog({ action, queue, chosen, what, onClose }: BulkProps) {
  const [stage, setStage] = useState<Stage>({ at: "counting" });
  const [tally, setTally] = useState(NONE);
  const [reason, setReason] = useState("");
  const [touched, setTouched] = useState(false);
  const goOn = useRef(true);
  const { verb, past, danger } = WORDS[action];
  /** Calls until no job is left; counting ends with the first call that found some. */
  const run = async (validateOnly: boolean): Promise<void> => {
    let sum = NONE;
    setTally(sum);
    setStage({ at: validateOnly ? "counting" : "acting" });
    try {
      do {
        const how = validateOnly ? { validateOnly } : { reason };
        sum = added(sum, await actOnMany(action, queue, chosen, { ...how, pageToken: sum.next }));
        setTally(sum);
      } while (goOn.current && sum.next !== "" && !(validateOnly && sum.matched > 0));
      setStage({ at: validateOnly ? "counted" : "done" });
    } catch (error) {
      setStage({ at: "failed", message: messageOf(error) });
    }
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is asked for does not change while the dialog is open.
  useEffect(() => {
    void run(true);
    return () => {
      goOn.current = false;
    };
  }, []);
  const act = (): void => {
    setTouched(true);
    void run(false);
  };
  const stop = (): void => {
    goOn.current = false;
  };
  const ended = stage.at === "done" || stage.at === "failed";
  return (
    <Dialog title={`${verb} jobs of ${queue}`} onClose={() => onClose(touched)}>
      <div class="dialog-body" role="status">
        {stage.at === "counting" && <p>Counting {what}…</p>}
        {stage.at === "counted" && <Counted tally={tally} what={what} past={past} />}
        {stage.at === "counted" && tally.matched > 0 && <Reason whose="them" value={reason} onInput={setReason} />}
        {stage.at === "acting" && (
          <p>
            {plural(tally.changed, "job")} {past} so far…
          </p>
        )}
        {stage.at === "failed" && <p class="problem">{stage.message}</p>}
        {(stage.at === "done" || (stage.at === "failed" && touched)) && <Report tally={tally} past={past} />}
      </div>
      <footer class="dialog-foot">
        {stage.at === "acting" ? (
          <button type="button" onClick={stop}>
            Stop
          </button>
        ) : (
          <button type="button" onClick={() => onClose(touched)}>
            {ended ? "Close" : "Keep as they are"}
          </button>
        )}
        {stage.at === "counted" && tally.matched > 0 && (
          <button type="button" class={danger ? "danger" : "primary"} onClick={act}>
            {verb} {amount(tally)}
          </button>
        )}
      </footer>
    </Dialog>
  );
}

const amount = (tally: Tally): string => `${tally.next === "" ? "" : "at least "}${plural(tally.matched, "job")}`;

function Counted({ tally, what, past }: { tally: Tally; what: string; past: string }) {
  if (tally.matched === 0)
    return (
      <p>
        Of {what}, none is in a state in which it can be {past}.
      </p>
    );
  return (
    <p>
      Of {what}, {tally.next !== "" && "at least "}
      <strong>{count(tally.matched)}</strong> can be {past}.
    </p>
  );
}

function Report({ tally, past }: { tally: Tally; past: string }) {
  const { failures } = tally;
  return (
    <>
      <p>
        <strong>{plural(tally.changed, "job")}</strong> of {count(tally.matched)} {past}.
        {tally.next !== "" && " More may match: it did not come to the end."}
      </p>
      {failures.length > 0 && (
        <>
          <p>{plural(failures.length, "job was", "jobs were")} left as they were:</p>
          <ul class="failures">
            {failures.slice(0, FAILURES_SHOWN).map((failure) => (
              <li key={failure.job?.jobId}>
                <code>{failure.job?.jobId}</code> {failure.error?.message}
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}
