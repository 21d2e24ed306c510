import assert from "node:assert/strict";
import { test } from "node:test";

import { formatAge, formatNumber, formatValue, isStale } from "../src/lib/format.ts";
import { FIRST_VIEW, fromHash, toHash, type View } from "../src/lib/link.ts";
import { reveal, visible } from "../src/lib/rows.ts";
import { choose, languages } from "../src/words/choose.ts";

test("every language has every text, and none is left as in English by mistake", () => {
  const keys = Object.keys(languages.en).sort();
  for (const [language, words] of Object.entries(languages)) {
    assert.deepEqual(Object.keys(words).sort(), keys, language);
    for (const [key, text] of Object.entries(words)) {
      const shown = typeof text === "function" ? text("x", "y", "z") : text;
      assert.notEqual(shown.trim(), "", `${language}.${key}`);
      if (language !== "en") assert.match(shown, /[^\x00-\x7f]/, `${language}.${key}`);
    }
  }
});

test("a first visit follows the browser, a later one its memory", () => {
  assert.equal(choose(null, ["ja-JP", "en"]), "ja");
  assert.equal(choose(null, ["fr", "zh-Hant-TW"]), "zh");
  assert.equal(choose(null, ["fr"]), "en");
  assert.equal(choose("en", ["ja"]), "en");
  assert.equal(choose("toString", ["ja"]), "ja");
});

test("a link leads to the same view", () => {
  const views: View[] = [
    FIRST_VIEW,
    { place: "acme/大阪", deep: false, points: ["a/b-c", "a/d_e"], window: { spanS: 3600 } },
    { place: "", deep: true, points: [], window: { fromS: 1000, toS: 2000 } },
  ];
  for (const view of views) assert.deepEqual(fromHash("#" + toHash(view)), view);
});

test("a broken link is a first visit", () => {
  assert.deepEqual(fromHash("#window=NaN&from=x&to=%%"), FIRST_VIEW);
});

test("numbers keep five digits and do not jump", () => {
  assert.equal(formatNumber(61, "en"), "61.000");
  assert.equal(formatNumber(1234.56, "en"), "1,234.6");
  assert.equal(formatNumber(0.123456, "en"), "0.1235");
  assert.equal(formatNumber(1e-7, "en"), "1.000e-7");
  assert.equal(formatValue(null, "float", "en"), "–");
  assert.equal(formatValue(1200, "int", "en"), "1,200");
});

test("ages are told in their largest unit", () => {
  assert.deepEqual([0, 59, 60, 7200, 90_000].map(formatAge), ["0 s", "59 s", "1 min", "2 h", "1 d"]);
});

test("a value is stale when even its heartbeat did not come", () => {
  const reading = { name: "a/b", value: 1, quality: "good", reason: "", time: new Date(0).toISOString(), unit: "" } as const;
  assert.equal(isStale(reading, 1, 60), false);
  assert.equal(isStale(reading, 1, 64), true);
  assert.equal(isStale({ ...reading, time: null }, 1, 1e9), false);
});

test("only the rows on the screen, and a few more, are drawn", () => {
  assert.deepEqual(visible(0, 360, 36, 100_000), { first: 0, end: 16 });
  assert.deepEqual(visible(3600, 360, 36, 100_000), { first: 94, end: 116 });
  assert.deepEqual(visible(9e9, 360, 36, 10), { first: 10, end: 10 });
  assert.equal(reveal(0, 300, 100, 10), 0);
  assert.equal(reveal(50, 0, 100, 10), 410);
});
