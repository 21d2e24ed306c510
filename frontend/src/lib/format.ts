/** Numbers, ages and moments as people read them, in their language. */

import type { Point, Reading, Value } from "./types.ts";

const formats = new Map<string, Intl.NumberFormat>();

function numberFormat(lang: string, digits: number, grow: boolean): Intl.NumberFormat {
  const key = `${lang} ${digits} ${grow}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(lang, {
      minimumFractionDigits: grow ? 0 : digits,
      maximumFractionDigits: digits,
    });
    formats.set(key, format);
  }
  return format;
}

/** Five significant digits that stay put, so that a changing number does not jump. */
export function formatNumber(value: number, lang: string): string {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e9 || size < 1e-3)) return value.toExponential(3);
  if (size >= 10_000) return numberFormat(lang, 0, false).format(value);
  const whole = size < 1 ? 1 : Math.floor(Math.log10(size)) + 1;
  return numberFormat(lang, Math.min(4, 5 - whole), false).format(value);
}

export function formatValue(value: Value, type: Point["type"], lang: string): string {
  if (value === null) return "–";
  if (typeof value !== "number") return String(value);
  if (type === "int") return numberFormat(lang, 0, true).format(value);
  return formatNumber(value, lang);
}

const STEPS: [number, number, string][] = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [86_400, 3600, "h"],
  [Infinity, 86_400, "d"],
];

/** An age in its largest unit: `3 s`, `12 min`, `5 h`, `2 d`. */
export function formatAge(seconds: number): string {
  const age = Math.max(0, seconds);
  for (const [below, unit, name] of STEPS) {
    if (age < below) return `${Math.floor(age / unit)} ${name}`;
  }
  return "";
}

export function formatMoment(timeS: number, lang: string): string {
  return new Date(timeS * 1000).toLocaleString(lang, {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hour12: false,
  });
}

/** Seconds since 1970 of an RFC 3339 text; NaN for none. */
export function seconds(time: string | null): number {
  return time === null ? NaN : Date.parse(time) / 1000;
}

/** An unchanged value is repeated after this long, whatever its period. */
const HEARTBEAT_S = 60;

/** How old a reading of this point may grow before it is called stale. */
export function staleAfterS(periodS: number): number {
  return 3 * periodS + HEARTBEAT_S;
}

export function isStale(reading: Reading, periodS: number, nowS: number): boolean {
  return nowS - seconds(reading.time) > staleAfterS(periodS);
}

/** The name below `place`, or the whole name when it lies elsewhere. */
export function below(name: string, place: string): string {
  return place && name.startsWith(place + "/") ? name.slice(place.length + 1) : name;
}
