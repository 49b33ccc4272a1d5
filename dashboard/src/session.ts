/** Who is signed in: a bearer token that lives in this tab alone, and what the role in it admits. */

import { computed, signal } from "@preact/signals";
import type { RoleJson } from "./gen/qcollector/jobs/v1/options_pb";

const KEY = "board.token";

/** The words of roles that stand above a user, and how far; any other word is a user's. */
const LEVELS: Readonly<Record<string, number>> = { service: 2, admin: 3, super_admin: 4 };

export interface Session {
  readonly token: string;
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly level: number;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

class TokenError extends Error {}

/** What a token says of its bearer. It is read, not verified: the service does that with every call. */
function readToken(token: string): Session {
  const part = token.split(".")[1];
  if (part === undefined)
    throw new TokenError("This is not a token: a JSON Web Token has three parts with dots between.");
  const claims = claimsOf(part);
  const id = claims.sub ?? claims.id;
  const { role, exp } = claims;
  if (typeof role !== "string" || (typeof id !== "string" && typeof id !== "number") || typeof exp !== "number") {
    throw new TokenError("The token names no subject, role or expiry.");
  }
  if (exp * 1000 <= Date.now()) throw new TokenError("The token has expired. Ask for a new one.");
  const name = claims.username ?? claims.name;
  return {
    token,
    id: String(id),
    name: typeof name === "string" && name !== "" ? name : String(id),
    role,
    level: levelOf(role),
    expires: exp * 1000,
  };
}

function claimsOf(part: string): Record<string, unknown> {
  try {
    const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (letter) =>
      letter.charCodeAt(0),
    );
    const claims: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof claims === "object" && claims !== null) return claims as Record<string, unknown>;
  } catch {
    // Told below: what exactly is wrong with it helps nobody.
  }
  throw new TokenError("This is not a token: its middle part cannot be read.");
}

function levelOf(role: string): number {
  return Object.hasOwn(LEVELS, role) ? (LEVELS[role] ?? 1) : 1;
}

function kept(): Session | null {
  const token = sessionStorage.getItem(KEY);
  if (token === null) return null;
  try {
    return readToken(token);
  } catch {
    sessionStorage.removeItem(KEY);
    return null;
  }
}

/** The session of this tab; null while nobody is signed in. */
export const session = signal<Session | null>(kept());

/** Why the last session ended, for the sign-in page. */
export const endReason = signal("");

/** Administrators manage; everybody else sees their own jobs. */
export const mayManage = computed(() => (session.value?.level ?? 0) >= 3);

/** Only a super_admin may ask for sensitive values. */
export const maySeeAll = computed(() => (session.value?.level ?? 0) >= 4);

/** The role's word, as tokens have it. */
export const roleWord = (role: RoleJson | undefined): string =>
  (role ?? "ROLE_ADMIN").replace("ROLE_", "").toLowerCase();

/** Whether the caller's role admits what wants at least that role. */
export function admits(minimumRole: RoleJson | undefined): boolean {
  return (session.value?.level ?? 0) >= levelOf(roleWord(minimumRole));
}

/** Raises TokenError if the text is no token. */
export function signIn(text: string): void {
  const token = text.trim().replace(/^Bearer\s+/i, "");
  const next = readToken(token);
  sessionStorage.setItem(KEY, token);
  endReason.value = "";
  session.value = next;
}

/** The page stays where it is, so that signing in again leads back to it. */
export function signOut(reason = ""): void {
  sessionStorage.removeItem(KEY);
  endReason.value = reason;
  session.value = null;
}
