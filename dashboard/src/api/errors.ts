/** Errors of the API as the board tells them: google.rpc.Status with the details that the contract promises. */

export interface Violation {
  /** Where, such as `data.to[0].address`. */
  readonly field: string;
  readonly description: string;
}

export class ApiError extends Error {
  constructor(
    /** The HTTP status; 0 when nothing answered. */
    readonly status: number,
    message: string,
    /** The word of ErrorReason, or empty. */
    readonly reason: string = "",
    readonly violations: readonly Violation[] = [],
    /** Seconds after which trying again makes sense; 0 if nobody said. */
    readonly retryAfter: number = 0,
  ) {
    super(message);
  }

  /** Whether nothing is wrong with the request: the connection or the service is away. */
  get away(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

/** The error that an answer with this status and body stands for. */
export function apiError(status: number, body: unknown): ApiError {
  const message = text(member(body, "message")) || `The gateway answered ${status}.`;
  let reason = "";
  let retryAfter = 0;
  const violations: Violation[] = [];
  const details = member(body, "details");
  for (const detail of Array.isArray(details) ? details : []) {
    const kind = text(member(detail, "@type"));
    if (kind.endsWith("ErrorInfo")) reason = text(member(detail, "reason"));
    if (kind.endsWith("RetryInfo")) retryAfter = Number.parseFloat(text(member(detail, "retryDelay"))) || 0;
    if (kind.endsWith("BadRequest")) violations.push(...violationsOf(member(detail, "fieldViolations")));
  }
  return new ApiError(status, message, reason, violations, retryAfter);
}

function violationsOf(list: unknown): Violation[] {
  if (!Array.isArray(list)) return [];
  return list.map((one: unknown) => ({
    field: text(member(one, "field")),
    description: text(member(one, "description")),
  }));
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** What went wrong, for people. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
