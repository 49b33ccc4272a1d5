/** The one way to the API: bearer token, JSON, errors as ApiError; a refused token ends the session. */

import { session, signOut } from "../session";
import { ApiError, apiError } from "./errors";

export type Parameters = Readonly<Record<string, string | number | readonly string[] | undefined>>;

export interface Call {
  readonly method?: "GET" | "POST" | "PATCH" | "DELETE";
  readonly query?: Parameters;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** The answer as it came, its body unread. Raises ApiError. */
export async function send(path: string, call: Call = {}, accept = "application/json"): Promise<Response> {
  const bearer = session.value;
  if (bearer === null) throw new ApiError(401, "Nobody is signed in.");
  const headers: Record<string, string> = { accept, authorization: `Bearer ${bearer.token}` };
  if (call.body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(path + queryText(call.query), {
      method: call.method ?? "GET",
      headers,
      body: call.body === undefined ? null : JSON.stringify(call.body),
      signal: call.signal ?? null,
      cache: "no-store",
      redirect: "error",
    });
  } catch (error) {
    if (call.signal?.aborted) throw error;
    throw new ApiError(0, "The service cannot be reached.");
  }
  if (response.ok) return response;
  const failure = apiError(response.status, await response.json().catch(() => undefined));
  // Only the session that made the call ends: a late answer must not end its successor.
  if (response.status === 401 && session.value === bearer) signOut(failure.message);
  throw failure;
}

/** The answer's JSON. Raises ApiError. */
export async function request<T>(path: string, call: Call = {}): Promise<T> {
  const response = await send(path, call);
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (call.signal?.aborted) throw error;
    throw new ApiError(0, "The answer broke off.");
  }
}

/** Every page of a list, one after the other. Raises ApiError. */
export async function allPages<T extends { nextPageToken?: string }>(path: string, call: Call = {}): Promise<T[]> {
  const pages: T[] = [];
  let pageToken: string | undefined = "";
  do {
    const page: T = await request<T>(path, { ...call, query: { ...call.query, pageToken } });
    pages.push(page);
    pageToken = page.nextPageToken;
  } while (pageToken);
  return pages;
}

function queryText(query: Parameters = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? (value as readonly string[]) : [String(value)])
      parameters.append(name, one);
  }
  const text = parameters.toString();
  return text && `?${text}`;
}
