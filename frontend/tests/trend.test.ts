import assert from "node:assert/strict";
import { test } from "node:test";

import { addReading, addToBucket, bucketS, columns, forget, traces, valueAt } from "../src/lib/trend.ts";
import type { History, Quality, Value } from "../src/lib/types.ts";

const at = (s: number) => new Date(s * 1000).toISOString();

function raw(rows: [number, Value, Quality][]): History {
  return {
    every_s: null,
    more: [],
    series: [
      {
        name: "a/b",
        unit: "kW",
        time: rows.map(([s]) => at(s)),
        value: rows.map(([, value]) => value),
        quality: rows.map(([, , quality]) => quality),
        reason: rows.map(() => ""),
      },
    ],
  };
}

const only = (history: History) => traces(history, new Map())[0]!;

test("few readings are asked for raw", () => {
  assert.equal(bucketS(300, 800, 1), null);
});

test("there is at most one bucket per 1.5 pixels, and not far fewer", () => {
  for (const span of [3600, 86_400, 604_800, 31_536_000]) {
    const every = bucketS(span, 800, 0.1)!;
    assert.ok(span / every <= 800 / 1.5, `${span}`);
    assert.ok(span / every >= 800 / 6, `${span}`);
  }
});

test("a bad reading is a gap and is marked until the next good one", () => {
  const trace = only(raw([[10, 1, "good"], [11, null, "bad"], [14, 2, "good"]]));
  assert.deepEqual(trace.mean, [1, null, 2]);
  assert.deepEqual(trace.marks, [{ fromS: 11, toS: 14, quality: "bad" }]);
});

test("an uncertain reading is drawn and marked", () => {
  const trace = only(raw([[10, 1, "uncertain"]]));
  assert.deepEqual(trace.mean, [1]);
  assert.equal(trace.marks[0]!.quality, "uncertain");
});

test("a long silence is a gap, a short one is not", () => {
  const trace = only(raw([[0, 1, "good"], [100, 2, "good"], [1000, 3, "good"]]));
  assert.deepEqual(trace.mean, [1, 2, null, 3]);
});

test("a spike stays in the band of its bucket", () => {
  const trace = only(raw([]));
  for (const [s, value] of [[60, 5], [61, 99], [62, 5]] as const)
    addToBucket(trace, s, value, "good", 10, 180);
  assert.deepEqual([trace.low, trace.high], [[5], [99]]);
  assert.ok(Math.abs(trace.mean[0]! - 109 / 3) < 1e-9);
  addToBucket(trace, 70, 7, "good", 10, 180);
  assert.deepEqual(trace.time, [60, 70]);
});

test("a reading older than the last is not appended", () => {
  const trace = only(raw([[10, 1, "good"]]));
  addReading(trace, 5, 9, "good", 180);
  assert.deepEqual(trace.time, [10]);
});

test("unknown buckets are gaps, held ones are drawn, bad ones are marked", () => {
  const seen = [1, null, null, null, 3];
  const trace = only({
    every_s: 10,
    series: [
      {
        name: "a/b", unit: "", time: [0, 10, 20, 30, 40].map(at),
        min: seen, max: seen, mean: seen, time_mean: [1.5, 2, null, null, 3],
        first: seen, last: seen, count: [10, 0, 0, 10, 10], good: [1, 1, null, 0, 0.5],
      },
    ],
  });
  assert.deepEqual(trace.mean, [1.5, 2, null, null, 3]);
  assert.deepEqual([trace.low[0], trace.high[0]], [1, 1.5]);
  assert.deepEqual(trace.marks, [
    { fromS: 30, toS: 40, quality: "bad" },
    { fromS: 40, toS: 50, quality: "uncertain" },
  ]);
});

test("columns share one time axis; nothing is not a gap", () => {
  const one = only(raw([[1, 1, "good"], [3, null, "bad"]]));
  const two = only(raw([[2, 5, "good"]]));
  const [time, low, , , other] = columns([one, two]);
  assert.deepEqual(time, [1, 2, 3]);
  assert.deepEqual(low, [1, undefined, null]);
  assert.deepEqual(other, [undefined, 5, undefined]);
});

test("the value at a moment is the last one not after it", () => {
  const trace = only(raw([[1, 10, "good"], [2, 20, "good"]]));
  assert.equal(valueAt(trace, 0.5), null);
  assert.equal(valueAt(trace, 1.9), 10);
  assert.equal(valueAt(trace, Infinity), 20);
});

test("a live trace does not grow without end", () => {
  const trace = only(raw([]));
  for (let s = 0; s < 10_000; s++) {
    addReading(trace, s, s, "good", 180);
    forget(trace, s - 300);
  }
  assert.ok(trace.time.length < 520);
  assert.ok(trace.time[0]! <= 9_700);
});
