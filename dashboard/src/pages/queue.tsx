/** One queue: its figures, its jobs page by page, and everything that steers them. */

import { useEffect, useState } from "preact/hooks";
import { type Chosen, chosenBy, type JobAction } from "../api/calls";
import type { QueueStatsJson } from "../gen/qcollector/jobs/v1/queue_pb";
import { queues } from "../live/queues";
import { useJobs } from "../live/search";
import { links, route, setQuery } from "../route";
import { mayManage, session } from "../session";
import { count, duration, plural } from "../ui/format";
import { Loading, PageHead, Problem } from "../ui/pieces";
import { isState } from "../ui/state";
import { BulkDialog, WORDS } from "./bulk";
import { Graphs } from "./graphs";
import { FilterBar, filterOf, filterWords, PAGE_SIZES, pageSizeOf, StateTabs } from "./job-filter";
import { JobTable } from "./job-rows";
import { UnservedWarning } from "./overview";
import { CleanButton, LimitsButton, PauseButton, PausedBadge } from "./queue-dialogs";

/** Which actions the states' tabs offer; without a tab all of them. */
const ACTIONS: Readonly<Record<string, readonly JobAction[]>> = {
  waiting: ["cancel", "delete"],
  delayed: ["promote", "cancel", "delete"],
  active: ["cancel"],
  completed: ["delete"],
  failed: ["retry", "delete"],
  cancelled: ["retry", "delete"],
};
const ALL_ACTIONS: readonly JobAction[] = ["retry", "promote", "cancel", "delete"];

/** The page before each page that this tab has shown, by their tokens. */
const before = new Map<string, string>();

export function Queue({ name }: { name: string }) {
  const stats = queues.value?.get(name);
  if (queues.value !== null && stats === undefined) {
    return <PageHead title={`There is no queue ${name}`} note={<a href={links.overview}>To the queues</a>} />;
  }
  return (
    <>
      <PageHead title={name} note={stats?.paused && <PausedBadge pause={stats.pause} />}>
        <a class="button" href={links.enqueue({ queue: name })}>
          Enqueue a job
        </a>
        {mayManage.value && stats && <Steering name={name} stats={stats} />}
      </PageHead>
      <UnservedWarning queue={name} />
      {stats && <Figures stats={stats} />}
      <Jobs name={name} stats={stats} />
      <Graphs queue={name} latency="p95" />
    </>
  );
}

function Steering({ name, stats }: { name: string; stats: QueueStatsJson }) {
  return (
    <>
      <LimitsButton queue={name} limits={stats.limits} />
      <CleanButton queue={name} />
      <PauseButton queue={name} paused={stats.paused === true} />
    </>
  );
}

function Figures({ stats }: { stats: QueueStatsJson }) {
  const rate = stats.limits?.rate;
  const limits = [
    stats.limits?.maxActive ? `${count(stats.limits.maxActive)} active at once` : "",
    rate?.max ? `${count(rate.max)} starts in ${duration(rate.periodMs ?? 0)}` : "",
  ].filter(Boolean);
  const three = (of: QueueStatsJson["waitMs"]): string =>
    [of?.p50, of?.p95, of?.p99].map((value) => duration(Number(value ?? 0))).join(" · ");
  return (
    <dl class="figures">
      <Figure
        term="Oldest waiting"
        value={stats.oldestWaitingAgeMs ? duration(Number(stats.oldestWaitingAgeMs)) : "–"}
      />
      {stats.setAside ? <Figure term="Set aside" value={`${count(stats.setAside)} over their callers' limit`} /> : null}
      <Figure
        term="Last minute"
        value={`${count(stats.perMinute?.completed)} completed, ${count(stats.perMinute?.failed)} failed`}
      />
      <Figure term="Wait p50 · p95 · p99" value={three(stats.waitMs)} />
      <Figure term="Run p50 · p95 · p99" value={three(stats.runMs)} />
      <Figure
        term="Since it began"
        value={`${count(stats.totals?.completed)} completed, ${count(stats.totals?.failed)} failed`}
      />
      <Figure term="Limits over all workers" value={limits.join(", ") || "none"} />
    </dl>
  );
}

function Figure({ term, value }: { term: string; value: string }) {
  return (
    <div>
      <dt>{term}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Jobs({ name, stats }: { name: string; stats: QueueStatsJson | undefined }) {
  const { query } = route.value;
  const state = query.get("state") ?? "";
  const token = query.get("page") ?? "";
  const pageSize = pageSizeOf(query);
  const filter = filterOf(query);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const what = JSON.stringify([filter, pageSize]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another page or search begins without a choice.
  useEffect(() => setChosen(new Set()), [name, what, token]);
  const page = useJobs(name, {
    filter,
    pageSize,
    ...(isState(state) && { orderBy: "state" }),
    ...(token && { pageToken: token }),
  });
  const jobs = page.data?.jobs ?? [];
  return (
    <section class="panel" aria-label="Jobs">
      <StateTabs counts={stats?.counts as Readonly<Record<string, number>> | undefined} />
      <FilterBar queue={name} />
      {mayManage.value && (
        <BulkBar
          queue={name}
          state={state}
          chosen={chosen}
          query={query}
          onDone={page.reload}
          clear={() => setChosen(new Set())}
        />
      )}
      <Problem error={page.error} />
      {page.loading ? (
        <Searching looked={page.looked} onStop={page.stop} />
      ) : jobs.length === 0 ? (
        <p class="empty">
          {page.data?.nextPageToken ? "Nothing found so far; there is more to look through." : "No jobs."}
        </p>
      ) : (
        <JobTable label={`Jobs of ${name}`} jobs={jobs} {...(mayManage.value && { chosen, onChoose: setChosen })} />
      )}
      <Pager token={token} next={page.data?.nextPageToken ?? ""} shown={jobs.length} pageSize={pageSize} />
      {!mayManage.value && <p class="hint">As {session.value?.role} you see the jobs that you enqueued yourself.</p>}
    </section>
  );
}

/** Until there is a page to show. */
function Searching({ looked, onStop }: { readonly looked: number; readonly onStop: () => void }) {
  if (looked === 0) return <Loading />;
  return (
    <p class="empty" aria-busy="true">
      Nothing found so far among {plural(looked, "job")}…{" "}
      <button type="button" onClick={onStop}>
        Stop
      </button>
    </p>
  );
}

interface BulkBarProps {
  readonly queue: string;
  readonly state: string;
  readonly chosen: ReadonlySet<string>;
  readonly query: URLSearchParams;
  readonly onDone: () => void;
  readonly clear: () => void;
}

function BulkBar({ queue, state, chosen, query, onDone, clear }: BulkBarProps) {
  const [open, setOpen] = useState<JobAction | null>(null);
  const some = chosen.size > 0;
  const target: Chosen = some ? { jobIds: [...chosen] } : chosenBy(filterOf(query));
  const close = (changed: boolean): void => {
    setOpen(null);
    if (!changed) return;
    clear();
    onDone();
  };
  return (
    <fieldset class="bulk">
      <legend class="faint">{some ? `${plural(chosen.size, "job")} selected:` : "All that match:"}</legend>
      {(ACTIONS[state] ?? ALL_ACTIONS).map((action) => (
        <button
          key={action}
          type="button"
          class={WORDS[action].danger ? "danger-quiet" : undefined}
          onClick={() => setOpen(action)}
        >
          {WORDS[action].verb} {some ? "selected" : "all"}…
        </button>
      ))}
      {some && (
        <button type="button" class="quiet" onClick={clear}>
          Clear selection
        </button>
      )}
      {open && (
        <BulkDialog
          action={open}
          queue={queue}
          chosen={target}
          what={some ? plural(chosen.size, "selected job") : filterWords(query)}
          onClose={close}
        />
      )}
    </fieldset>
  );
}

interface PagerProps {
  readonly token: string;
  readonly next: string;
  readonly shown: number;
  readonly pageSize: number;
}

function Pager({ token, next, shown, pageSize }: PagerProps) {
  const forward = (): void => {
    before.set(next, token);
    setQuery({ page: next });
  };
  return (
    <nav class="pager" aria-label="Pages of jobs">
      <button type="button" disabled={token === ""} onClick={() => setQuery({ page: "" })}>
        First
      </button>
      <button type="button" disabled={token === ""} onClick={() => setQuery({ page: before.get(token) ?? "" })}>
        Previous
      </button>
      <button type="button" disabled={next === ""} onClick={forward}>
        Next
      </button>
      <span class="faint">{plural(shown, "job")} on this page</span>
      <label class="inline">
        <span>Page size</span>
        <select value={String(pageSize)} onChange={(event) => setQuery({ size: event.currentTarget.value, page: "" })}>
          {PAGE_SIZES.map((size) => (
            <option key={size} value={String(size)}>
              {size}
            </option>
          ))}
        </select>
      </label>
    </nav>
  );
}
