/** The frame around every page: navigation, what is wrong with the connection, and the page itself. */

import { computed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { lost } from "./api/stream";
import { FindJob } from "./find-job";
import { queueList } from "./live/queues";
import { REFRESH_CHOICES, refreshSeconds } from "./live/refresh";
import { Api } from "./pages/api";
import { DeadLetters } from "./pages/dead-letters";
import { Enqueue } from "./pages/enqueue";
import { Job } from "./pages/job";
import { Overview } from "./pages/overview";
import { Queue } from "./pages/queue";
import { EditSchedule, NewSchedule } from "./pages/schedule-edit";
import { SchedulePage, Schedules } from "./pages/schedules";
import { SignIn } from "./pages/sign-in";
import { Workers } from "./pages/workers";
import { links, route } from "./route";
import { session, signOut } from "./session";
import { count, relative } from "./ui/format";
import { now, PageHead } from "./ui/pieces";
import { ThemeChoice } from "./ui/theme";
import { forgetFailures, Toasts } from "./ui/toasts";

export function Board() {
  const signedIn = session.value !== null;
  useShortcuts();
  const place = route.value.path.join("/");
  // biome-ignore lint/correctness/useExhaustiveDependencies: another place is the reason.
  useEffect(forgetFailures, [place]);
  useEffect(() => {
    if (!signedIn) return;
    const timer = setInterval(() => {
      if ((session.value?.expires ?? 0) <= Date.now()) signOut("The token has expired. Ask for a new one.");
    }, 1000);
    return () => clearInterval(timer);
  }, [signedIn]);
  if (!signedIn) return <SignIn />;
  return (
    <>
      <button type="button" class="skip" onClick={focusPage}>
        Skip to the page
      </button>
      <Header />
      <LostBanner />
      <main id="main">
        <Page />
      </main>
      <Toasts />
    </>
  );
}

function focusPage(): void {
  document.querySelector<HTMLElement>("main h1")?.focus();
}

/** `/` goes to the search of the page, or else to the one above. */
function useShortcuts(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target;
      if (target instanceof HTMLElement && target.closest("input, textarea, select, dialog, [contenteditable]")) return;
      const search =
        document.querySelector<HTMLElement>("main input[type=search]") ?? document.querySelector("input[type=search]");
      if (search instanceof HTMLInputElement) {
        event.preventDefault();
        search.select();
        search.focus();
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

const failedJobs = computed(() => queueList.value.reduce((sum, queue) => sum + Number(queue.counts?.failed ?? 0), 0));

function Header() {
  const here = route.value.path[0] ?? "";
  return (
    <header class="top">
      <a class="brand" href={links.overview}>
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="7" fill="currentColor" />
          <path d="M8 10h16M8 16h11M8 22h6" class="brand-lines" />
        </svg>
        Jobs
      </a>
      <nav aria-label="Pages">
        <NavLink to={links.overview} current={here === "" || here === "queues"}>
          Queues
        </NavLink>
        <NavLink to={links.deadLetters} current={here === "dead-letters"}>
          Dead letters {failedJobs.value > 0 && <span class="pill bad">{count(failedJobs.value)}</span>}
        </NavLink>
        <NavLink to={links.schedules} current={here === "schedules"}>
          Schedules
        </NavLink>
        <NavLink to={links.workers} current={here === "workers"}>
          Workers
        </NavLink>
        <NavLink to={links.enqueue()} current={here === "enqueue"}>
          Enqueue
        </NavLink>
        <NavLink to={links.api} current={here === "api"}>
          API
        </NavLink>
      </nav>
      <FindJob />
      <Settings />
    </header>
  );
}

function NavLink({ to, current, children }: { to: string; current: boolean; children: ComponentChildren }) {
  return (
    <a href={to} aria-current={current ? "page" : undefined}>
      {children}
    </a>
  );
}

function Settings() {
  const who = session.value;
  if (who === null) return null;
  return (
    <details class="settings">
      <summary>
        {who.name} <span class="faint">{who.role}</span>
      </summary>
      <div class="menu">
        <label class="inline">
          <span>Refresh</span>
          <select
            value={String(refreshSeconds.value)}
            onChange={(event) => {
              refreshSeconds.value = Number(event.currentTarget.value);
            }}
          >
            {REFRESH_CHOICES.map((seconds) => (
              <option key={seconds} value={String(seconds)}>
                {seconds === 0 ? "paused" : `every ${seconds} s`}
              </option>
            ))}
          </select>
        </label>
        <ThemeChoice />
        <p class="faint">The token expires {relative(new Date(who.expires).toISOString(), now.value)}.</p>
        <button type="button" onClick={() => signOut()}>
          Sign out
        </button>
      </div>
    </details>
  );
}

function LostBanner() {
  const names = [...lost.value];
  return (
    <div role="status">
      {names.length > 0 && (
        <div class="lost">
          <strong>Connection lost.</strong> What you see may be old: {names.join(" and ")} cannot be followed. The board
          keeps trying and goes on by itself.
        </div>
      )}
    </div>
  );
}

function Page() {
  const { path } = route.value;
  const [first, second, third, fourth] = path;
  if (first === undefined) return <Overview />;
  if (first === "queues" && second !== undefined && third === undefined) return <Queue key={second} name={second} />;
  if (first === "queues" && second !== undefined && third === "jobs" && fourth !== undefined) {
    return <Job key={`${second} ${fourth}`} queue={second} id={fourth} />;
  }
  if (first === "schedules") return <SchedulePages name={second} edit={third === "edit"} />;
  if (first === "dead-letters") return <DeadLetters />;
  if (first === "workers") return <Workers />;
  if (first === "enqueue") return <Enqueue />;
  if (first === "api") return <Api />;
  return <PageHead title="There is no such page" note={<a href={links.overview}>To the queues</a>} />;
}

function SchedulePages({ name, edit }: { name: string | undefined; edit: boolean }) {
  if (name === undefined) return <Schedules />;
  if (name === "_new") return <NewSchedule />;
  return edit ? <EditSchedule key={name} name={name} /> : <SchedulePage key={name} name={name} />;
}
