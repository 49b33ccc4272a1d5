/** Buttons that call the API: busy while they do, and telling what came of it. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { messageOf } from "../api/errors";
import { Dialog } from "./dialog";
import { tell } from "./toasts";

interface ActionProps {
  readonly label: string;
  /** What a screen reader says, where the label alone does not say what it acts on. */
  readonly name?: string;
  readonly run: () => Promise<unknown>;
  /** Told when it went well. */
  readonly done?: string;
  readonly class?: string;
  readonly disabled?: boolean;
}

export function Action({ label, name, run, done, class: kind, disabled = false }: ActionProps) {
  const [busy, setBusy] = useState(false);
  const click = async (): Promise<void> => {
    if (busy) return;
    setBusy(true);
    try {
      await run();
      if (done) tell(done);
    } catch (error) {
      tell(messageOf(error), true);
    } finally {
      setBusy(false);
    }
  };
  return (
    // While it is busy it keeps the focus, which a disabled button would lose.
    <button
      type="button"
      class={kind}
      aria-label={name}
      aria-busy={busy}
      aria-disabled={busy}
      disabled={disabled}
      onClick={click}
    >
      {label}
    </button>
  );
}

interface ConfirmProps {
  readonly label: string;
  readonly title: string;
  readonly confirm: string;
  readonly run: () => Promise<unknown>;
  readonly done?: string;
  readonly danger?: boolean;
  readonly class?: string;
  readonly children: ComponentChildren;
}

/** A button that asks before it acts. */
export function ConfirmAction({
  label,
  title,
  confirm,
  run,
  done,
  danger = false,
  class: kind = danger ? "danger-quiet" : "",
  children,
}: ConfirmProps) {
  const [open, setOpen] = useState(false);
  const act = async (): Promise<void> => {
    await run();
    setOpen(false);
  };
  return (
    <>
      <button type="button" class={kind} onClick={() => setOpen(true)}>
        {label}
      </button>
      {open && (
        <Dialog title={title} onClose={() => setOpen(false)}>
          <div class="dialog-body">{children}</div>
          <footer class="dialog-foot">
            <button type="button" onClick={() => setOpen(false)}>
              Keep as it is
            </button>
            <Action label={confirm} class={danger ? "danger" : "primary"} run={act} {...(done && { done })} />
          </footer>
        </Dialog>
      )}
    </>
  );
}

interface ReasonedProps extends Omit<ConfirmProps, "run"> {
  readonly run: (reason: string) => Promise<unknown>;
}

/** A button that asks why before it acts. */
export function ReasonedAction({ run, children, ...rest }: ReasonedProps) {
  const [reason, setReason] = useState("");
  return (
    <ConfirmAction {...rest} run={() => run(reason)}>
      {children}
      <Reason whose="it" value={reason} onInput={setReason} />
    </ConfirmAction>
  );
}

interface ReasonProps {
  /** What it is about, for people: "it" or "them". */
  readonly whose: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
}

/** Why something is done. It may stay empty. */
export function Reason({ whose, value, onInput }: ReasonProps) {
  return (
    <label class="field">
      <span>Reason, for those who look at {whose} later</span>
      <input maxLength={500} value={value} onInput={(event) => onInput(event.currentTarget.value)} />
    </label>
  );
}
