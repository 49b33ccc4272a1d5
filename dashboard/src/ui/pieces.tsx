/** Small things that many pages show. */

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { ApiError } from "../api/errors";
import { count, dateTime, relative } from "./format";
import { tell } from "./toasts";

/** Milliseconds since 1970, told once a second, so that ages grow by themselves. */
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);

/** A time relative to now, with the time itself as its title. */
export function Ago({ time }: { time: string | undefined }) {
  if (!time) return <span class="faint">–</span>;
  return (
    <time dateTime={time} title={dateTime(time)}>
      {relative(time, now.value)}
    </time>
  );
}

/** Ids that the service makes begin alike within seconds: their end tells them apart. */
const MADE_ID = /^[0-9a-z]{26}-\d+$/;
const SHOWN_LETTERS = 28;

function shortened(id: string): string {
  if (MADE_ID.test(id)) return `…${id.slice(-12)}`;
  return id.length <= SHOWN_LETTERS ? id : `${id.slice(0, SHOWN_LETTERS - 10)}…${id.slice(-9)}`;
}

/** An id, shortened where that is enough to know it, with a button that copies it whole. */
export function CopyId({ id, link, whole = false }: { id: string; link?: string; whole?: boolean }) {
  const text = whole ? id : shortened(id);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(id);
      tell(`Copied ${id}`);
    } catch {
      tell("The browser does not let this page copy.", true);
    }
  };
  return (
    <span class="copy-id">
      {link ? (
        <a href={link} title={id}>
          <code>{text}</code>
        </a>
      ) : (
        <code title={id}>{text}</code>
      )}
      <button type="button" class="quiet small" aria-label={`Copy id ${id}`} title="Copy" onClick={copy}>
        <svg viewBox="0 0 16 16" class="icon" aria-hidden="true">
          <path d="M5.5 5.5h8v8h-8zM2.5 10.5v-8h8" />
        </svg>
      </button>
    </span>
  );
}

export function ProgressBar({ value, label }: { value: number; label: string }) {
  return (
    <span class="progress">
      <progress max={100} value={value} aria-label={label} />
      <span class="faint">{count(Math.floor(value))} %</span>
    </span>
  );
}

/** What went wrong while loading. What was shown before stays beside it. */
export function Problem({ error }: { error: ApiError | undefined }) {
  if (!error) return null;
  return (
    <div class="problem" role="alert">
      <strong>{error.away ? "Not reachable just now." : "That did not work."}</strong> {error.message}
    </div>
  );
}

export function Loading() {
  return (
    <p class="faint" aria-busy="true">
      Loading…
    </p>
  );
}

/** A table that scrolls by itself where the screen is narrow. */
export function TableFrame({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
    <section class="table-frame" aria-label={label} tabIndex={0}>
      <table>{children}</table>
    </section>
  );
}

export function Panel({
  title,
  tools,
  children,
}: {
  title: string;
  tools?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class="panel">
      <header class="panel-head">
        <h2>{title}</h2>
        {tools && <div class="tools">{tools}</div>}
      </header>
      {children}
    </section>
  );
}

/** The heading of a page, which is also the window's title. */
export function PageHead({
  title,
  note,
  children,
}: {
  title: string;
  note?: ComponentChildren;
  children?: ComponentChildren;
}) {
  document.title = `${title} · Jobs`;
  return (
    <header class="page-head">
      <h1 tabIndex={-1}>{title}</h1>
      {note}
      {children && <div class="tools">{children}</div>}
    </header>
  );
}
