import type {
  Approval,
  Health,
  History,
  Level,
  OpenSession,
  Outcome,
  PlantEvent,
  PointsPage,
  Reading,
  Value,
  WhoAmI,
} from "./types.ts";

const ROOT = "/api/v1";

/** The server answered, but with a problem (RFC 9457), or did not answer at all. */
export class Problem extends Error {
  readonly status: number;
  /** Stable, such as LS-4308; empty if the server told none. */
  readonly code: string;
  constructor(status: number, detail: string, code = "") {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** Asked by the page itself: whoever left the screen did not do anything. */
const BACKGROUND = new Set(["/health", "/events", "/session"]);

type Query = Record<string, string | number | readonly string[]>;

function address(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (Array.isArray(value)) value.forEach((one: string) => search.append(key, one));
    else search.set(key, String(value));
  }
  const text = search.toString();
  return ROOT + path + (text ? `?${text}` : "");
}

async function problem(response: Response): Promise<Problem> {
  const body: unknown = await response.json().catch(() => ({}));
  const told = body as { detail?: string; title?: string; reason?: string; code?: string };
  const text = told.detail || told.reason || told.title || response.statusText;
  return new Problem(response.status, text, told.code);
}

async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  const response = await fetch(address(path, query), {
    headers: BACKGROUND.has(path) ? { "lineshaft-background": "1" } : {},
    signal: signal ?? null,
  });
  if (!response.ok) throw await problem(response);
  return (await response.json()) as T;
}

/** Send something that changes the plant or ourselves; a POST has a body, if an empty one. */
export async function send<T = unknown>(method: string, path: string, body?: object): Promise<T> {
  const response = await fetch(address(path), {
    method,
    headers: body ? { "content-type": "application/json" } : {},
    body: body ? JSON.stringify(body) : null,
  });
  if (!response.ok) throw await problem(response);
  return (response.status === 204 ? null : await response.json()) as T;
}

export const whoAmI = () => get<WhoAmI>("/session");

export const sessions = () => get<OpenSession[]>("/sessions");

export const approvals = () => get<Approval[]>("/approvals");

export const decide = (id: string, approve: boolean) =>
  send("POST", `/approvals/${id}`, { approve });

export const health = () => get<Health>("/health");

export const level = (place: string) => get<Level>("/namespace", place ? { place } : {});

export const points = (
  query: { pattern: string } | { search: string },
  offset: number,
  limit: number,
  signal?: AbortSignal,
) => get<PointsPage>("/points", { ...query, offset, limit }, signal);

export const readings = (pattern: readonly string[]) =>
  get<Reading[]>("/readings", { pattern });

export const events = (limit: number) => get<PlantEvent[]>("/events", { limit });

/** History between two moments (seconds since 1970), raw or in buckets of `everyS`. */
export function history(
  names: readonly string[],
  fromS: number,
  toS: number,
  everyS: number | null,
  signal?: AbortSignal,
): Promise<History> {
  const query: Query = {
    name: names,
    from: new Date(fromS * 1000).toISOString(),
    to: new Date(toS * 1000).toISOString(),
  };
  if (everyS !== null) query["every"] = `${Math.round(everyS * 1000)}ms`;
  return get<History>("/history", query, signal);
}

/** Ask for a value to be written; refused (409) and unknown (504) are outcomes too. */
export async function write(name: string, value: Value, approval = ""): Promise<Outcome | Approval> {
  const response = await fetch(address("/write"), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name, value, by: "page", approval }),
  });
  if (response.status === 202) return (await response.json()) as Approval;
  const body = (await response
    .clone()
    .json()
    .catch(() => null)) as Outcome | null;
  if (body?.verdict) return body;
  throw await problem(response);
}

/** Where the live stream is, for these patterns, after `resume`. */
export function liveAddress(
  origin: string,
  patterns: readonly string[],
  resume: string | null,
): string {
  const query: Query = { pattern: patterns };
  if (resume !== null) query["resume"] = resume;
  return origin.replace(/^http/, "ws") + address("/live", query);
}
