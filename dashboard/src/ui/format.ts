/** Times, durations, sizes and numbers, as people read them. */

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const WHOLE = {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
} as const;
const DATE = new Intl.DateTimeFormat("en-GB", WHOLE);

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1000],
] as const;

/** Round durations in milliseconds, for the axis of a graph. */
export const DURATION_STEPS: readonly number[] = [
  ...[1, 1000, 10_000].flatMap((size) => [size, 2 * size, 5 * size]),
  ...[10, 20, 50, 100, 200, 500],
  ...[60_000, 3_600_000].flatMap((size) => [0.5 * size, size, 2 * size, 5 * size, 10 * size]),
  ...[1, 2, 5, 10, 20, 50].map((days) => days * 86_400_000),
].sort((one, other) => one - other);

export function count(value: number | string | undefined): string {
  return NUMBER.format(Number(value ?? 0));
}

/** With all its digits, as a rule has it. */
export function exact(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 20 });
}

/** In its two largest units: "3 min 12 s". */
export function duration(milliseconds: number): string {
  if (!Number.isFinite(milliseconds)) return "–";
  if (milliseconds < 1000) return `${NUMBER.format(Math.max(0, Math.round(milliseconds)))} ms`;
  if (milliseconds < 10_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const first = UNITS.findIndex(([, size]) => milliseconds >= size);
  const [unit, size] = UNITS[first] ?? UNITS[3];
  const whole = Math.floor(milliseconds / size);
  const next = UNITS[first + 1];
  const rest = next ? Math.floor((milliseconds % size) / next[1]) : 0;
  return next && rest > 0 ? `${whole} ${unit} ${rest} ${next[0]}` : `${whole} ${unit}`;
}

/** "in 5 s" or "5 s ago". */
export function relative(time: string, now: number): string {
  const distance = Date.parse(time) - now;
  if (Math.abs(distance) < 1000) return "now";
  return distance > 0 ? `in ${duration(distance)}` : `${duration(-distance)} ago`;
}

export function dateTime(time: string | undefined): string {
  const at = Date.parse(time ?? "");
  return Number.isNaN(at) ? "–" : DATE.format(at);
}

/** The same where the clocks of a zone show it, with the zone's name; in the browser's own if it knows no such zone. */
export function dateTimeIn(zone: string, time: string): string {
  try {
    const there = new Intl.DateTimeFormat("en-GB", { ...WHOLE, timeZone: zone, timeZoneName: "short" });
    return there.format(Date.parse(time));
  } catch {
    return dateTime(time);
  }
}

export function clock(time: string | number | undefined): string {
  const at = typeof time === "number" ? time : Date.parse(time ?? "");
  return Number.isNaN(at) ? "–" : CLOCK.format(at);
}

export function bytes(size: number | string | undefined): string {
  let value = Number(size ?? 0);
  let unit = 0;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${NUMBER.format(value)} ${units[unit]}`;
}

/** Fields that the contract counts in milliseconds and in bytes. */
const MILLISECONDS = /Ms$|^(processingTime|scanTime|averageResponseTime|maxAge)$/;
const BYTES = /Bytes$|^(size|fileSize|archiveSize)$/;

/** A field's number in its unit, where the name tells it. Three places behind the point are enough to read. */
export function amount(name: string, value: number): string {
  if (MILLISECONDS.test(name)) return duration(value);
  if (BYTES.test(name)) return bytes(value);
  return String(Math.round(value * 1000) / 1000);
}

/** `runAt` as "run at". */
export function words(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replaceAll("_", " ")
    .toLowerCase();
}

export function plural(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** An RFC 3339 time as the value of `<input type="datetime-local">`, in the browser's zone. */
export function toLocalInput(time: string): string {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** The other way round; empty where there is no time. */
export function fromLocalInput(value: string): string {
  const at = new Date(value);
  return value === "" || Number.isNaN(at.getTime()) ? "" : at.toISOString();
}
