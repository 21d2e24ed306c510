/** From readings and buckets to the columns that a chart draws. */

import { seconds } from "./format.ts";
import type { BucketSeries, History, Point, Quality, RawSeries, Value } from "./types.ts";

/** `undefined`: nothing of this series at that moment; `null`: a gap. */
export type Cell = number | null | undefined;

/** One point's trace; a raw trace has one value for low, mean and high. */
export interface Trace {
  name: string;
  unit: string;
  time: number[];
  low: (number | null)[];
  mean: (number | null)[];
  high: (number | null)[];
  /** How many readings stand behind each column. */
  count: number[];
  /** Stretches of bad or partly bad data: [from, to, quality]. */
  marks: Mark[];
  text: boolean;
}

export interface Mark {
  fromS: number;
  toS: number;
  quality: Quality;
}

const NICE_S = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800,
  21_600, 43_200, 86_400, 172_800, 604_800,
];

/** How wide buckets should be for a window of `spanS` on `width` pixels.
 *
 * null means raw readings: there are few enough of them. Otherwise the narrowest
 * even width that gives at most one bucket per 1.5 pixels.
 */
export function bucketS(
  spanS: number,
  width: number,
  shortestPeriodS: number,
): number | null {
  if (spanS / Math.max(shortestPeriodS, 0.001) <= 2 * width) return null;
  const least = (spanS * 1.5) / Math.max(width, 1);
  return NICE_S.find((step) => step >= least) ?? least;
}

/** A silence longer than this is a gap, though nothing bad was recorded. */
export function gapAfterS(periodS: number, everyS: number | null): number {
  return Math.max(180, 3 * periodS, 2 * (everyS ?? 0));
}

export function plotted(value: Value): number | null {
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value === "boolean") return value ? 1 : 0;
  return null;
}

function emptyTrace(name: string, unit: string): Trace {
  return {
    name,
    unit,
    time: [],
    low: [],
    mean: [],
    high: [],
    count: [],
    marks: [],
    text: false,
  };
}

function push(trace: Trace, at: number, values: (number | null)[], count: number): void {
  trace.time.push(at);
  trace.low.push(values[0] ?? null);
  trace.mean.push(values[1] ?? null);
  trace.high.push(values[2] ?? null);
  trace.count.push(count);
}

function breakIfSilent(trace: Trace, at: number, gapS: number): void {
  const last = trace.time.at(-1);
  if (last === undefined || at - last <= gapS) return;
  push(trace, last + gapS / 2, [], 0);
}

/** Bad marks last until the next reading, so the last one is left open. */
function mark(trace: Trace, at: number, quality: Quality): void {
  const last = trace.marks.at(-1);
  if (last && last.toS === Infinity) {
    if (last.quality === quality) return;
    last.toS = at;
  }
  if (quality !== "good") trace.marks.push({ fromS: at, toS: Infinity, quality });
}

/** Add one raw reading that is newer than all before it. */
export function addReading(
  trace: Trace,
  at: number,
  value: Value,
  quality: Quality,
  gapS: number,
): void {
  const last = trace.time.at(-1);
  if (Number.isNaN(at) || (last !== undefined && at < last)) return;
  if (typeof value === "string") trace.text = true;
  breakIfSilent(trace, at, gapS);
  const drawn = quality === "bad" ? null : plotted(value);
  push(trace, at, [drawn, drawn, drawn], 1);
  mark(trace, at, quality);
}

/** Add one reading to a trace of buckets: into the last bucket or a new one. */
export function addToBucket(
  trace: Trace,
  at: number,
  value: Value,
  quality: Quality,
  everyS: number,
  gapS: number,
): void {
  const begin = Math.floor(at / everyS) * everyS;
  const i = trace.time.length - 1;
  const last = trace.time[i];
  if (Number.isNaN(at) || (last !== undefined && begin < last - 1e-6)) return;
  mark(trace, at, quality);
  const drawn = quality === "bad" ? null : plotted(value);
  if (last === undefined || begin > last + 1e-6) {
    breakIfSilent(trace, begin, gapS);
    push(trace, begin, [drawn, drawn, drawn], drawn === null ? 0 : 1);
    return;
  }
  const count = trace.count[i] ?? 0;
  if (drawn === null) return;
  const mean = trace.mean[i] ?? drawn;
  trace.low[i] = Math.min(trace.low[i] ?? drawn, drawn);
  trace.high[i] = Math.max(trace.high[i] ?? drawn, drawn);
  trace.mean[i] = (mean * count + drawn) / (count + 1);
  trace.count[i] = count + 1;
}

function fromRaw(series: RawSeries, gapS: number): Trace {
  const trace = emptyTrace(series.name, series.unit);
  for (let i = 0; i < series.time.length; i++) {
    const at = seconds(series.time[i] ?? null);
    addReading(trace, at, series.value[i] ?? null, series.quality[i] ?? "bad", gapS);
  }
  return trace;
}

function fromBuckets(series: BucketSeries, everyS: number, gapS: number): Trace {
  const trace = emptyTrace(series.name, series.unit);
  for (let i = 0; i < series.time.length; i++) {
    const at = seconds(series.time[i] ?? null);
    // The share of good is null where nothing is known: a gap without a mark.
    const good = series.good[i] ?? null;
    // A value that was held through an empty bucket has a mean over time only.
    const mean = series.time_mean[i] ?? series.mean[i] ?? null;
    const low = mean === null ? null : Math.min(mean, series.min[i] ?? mean);
    const high = mean === null ? null : Math.max(mean, series.max[i] ?? mean);
    breakIfSilent(trace, at, gapS);
    push(trace, at, [low, mean, high], mean === null ? 0 : (series.count[i] ?? 0));
    if (mean === null && good !== null && good > 0) trace.text = true;
    if (good === null || good > 0.999) continue;
    const quality = good > 0 || mean !== null ? "uncertain" : "bad";
    const last = trace.marks.at(-1);
    if (last && last.toS >= at && last.quality === quality) last.toS = at + everyS;
    else trace.marks.push({ fromS: at, toS: at + everyS, quality });
  }
  return trace;
}

/** The traces of an answer, in its order. */
export function traces(history: History, points: ReadonlyMap<string, Point>): Trace[] {
  return history.series.map((series) => {
    const gapS = gapAfterS(points.get(series.name)?.period_s ?? 1, history.every_s);
    return "value" in series
      ? fromRaw(series, gapS)
      : fromBuckets(series, history.every_s ?? 1, gapS);
  });
}

/** Forget what is older than `fromS`, but keep one column before it for its line. */
export function forget(trace: Trace, fromS: number): void {
  let n = 0;
  while (n + 1 < trace.time.length && (trace.time[n + 1] ?? 0) < fromS) n++;
  // Removing from the front is slow: only when it is worth it.
  if (n > 200) {
    for (const column of [trace.time, trace.low, trace.mean, trace.high, trace.count])
      column.splice(0, n);
  }
  trace.marks = trace.marks.filter((one) => one.toS > fromS);
}

/** One time axis for all traces: [time, low, mean, high, low, mean, high, ...]. */
export function columns(all: readonly Trace[]): [number[], ...Cell[][]] {
  const time = all.length === 1 ? [...all[0]!.time] : union(all.map((one) => one.time));
  const place = new Map(time.map((at, i) => [at, i]));
  const cells: Cell[][] = [];
  for (const trace of all) {
    for (const column of [trace.low, trace.mean, trace.high]) {
      const spread: Cell[] = new Array<Cell>(time.length).fill(undefined);
      trace.time.forEach((at, i) => (spread[place.get(at)!] = column[i] ?? null));
      cells.push(spread);
    }
  }
  return [time, ...cells];
}

function union(times: number[][]): number[] {
  return [...new Set(times.flat())].sort((a, b) => a - b);
}

/** The value that stood at a moment: that of the last column not after it. */
export function valueAt(trace: Trace, at: number): number | null {
  let low = 0;
  let high = trace.time.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((trace.time[middle] ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? null : (trace.mean[low - 1] ?? null);
}
