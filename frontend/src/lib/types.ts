/** What the HTTP API says, until the types are generated from openapi.json. */

export type Value = number | string | boolean | null;
export type Quality = "good" | "uncertain" | "bad";
export type State = "ok" | "degraded" | "down";

export interface Reading {
  name: string;
  value: Value;
  quality: Quality;
  reason: string;
  /** RFC 3339, UTC; null when the point was never read. */
  time: string | null;
  unit: string;
}

export interface Point {
  name: string;
  type: "float" | "int" | "bool" | "string";
  unit: string;
  description: string;
  device: string;
  protocol: string;
  address: string;
  period_s: number;
  deadband: number;
  writable: boolean;
}

export interface Place {
  name: string;
  path: string;
  points: number;
}

export interface Level {
  place: string;
  places: Place[];
  points: Point[];
}

export interface PointsPage {
  total: number;
  points: Point[];
}

export interface Service {
  service: string;
  state: State;
  reason: string;
  since: string;
  time: string;
  figures: Record<string, number | string>;
}

export interface Health {
  status: State;
  reasons: string[];
  plant: string;
  demo: boolean;
  version: string;
  time: string;
  services: Service[];
}

export interface PlantEvent {
  kind: string;
  source: string;
  text: string;
  severity: "info" | "warning" | "error";
  time: string;
  detail: Record<string, unknown>;
}

export interface RawSeries {
  name: string;
  unit: string;
  time: string[];
  value: Value[];
  quality: Quality[];
  reason: string[];
}

type Column = (number | null)[];

export interface BucketSeries {
  name: string;
  unit: string;
  /** Where each bucket begins. */
  time: string[];
  min: Column;
  max: Column;
  mean: Column;
  time_mean: Column;
  first: Value[];
  last: Value[];
  count: number[];
  /** Share of good readings, 0 to 1. */
  good: Column;
}

export type History =
  | { every_s: null; series: RawSeries[]; more: string[] }
  | { every_s: number; series: BucketSeries[]; more?: string[] };

export interface Outcome {
  id: string;
  verdict: "confirmed" | "refused" | "unknown";
  reason: string;
}

export type StreamMessage =
  | { kind: "snapshot"; token: string; readings: Reading[] }
  | { kind: "readings"; token: string; readings: Reading[] }
  | { kind: "gap"; token: string; reason: string }
  | { kind: "event"; event: PlantEvent }
  | { kind: "health"; health: Health };

export interface WhoAmI {
  /** Empty: nobody is logged in. */
  subject: string;
  how: string;
  /** What must be done before anything else. */
  lacks: string;
  locked: boolean;
  is_owner: boolean;
  until: string | null;
  may_manage: boolean;
  doors: { banner: string; single_sign_on: string; loopback: string; second_factor: string };
}

export interface OpenSession {
  id: string;
  account: string;
  how: string;
  since: string;
  active: string;
  until: string;
  locked: boolean;
  origin: string;
  agent: string;
  is_this: boolean;
}

/** What somebody wants to do and needs a second person for. */
export interface Approval {
  id: string;
  subject: string;
  action: string;
  name: string;
  what: string;
  state: string;
  asked: string;
  until: string;
  decided_by: string;
}
