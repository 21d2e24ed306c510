import assert from "node:assert/strict";
import { test } from "node:test";

import { backOff, LiveStream, type Socket } from "../src/lib/stream.ts";
import type { StreamMessage } from "../src/lib/types.ts";

interface Opened extends Socket {
  patterns: readonly string[];
  resume: string | null;
  sent: string[];
  closed: boolean;
}

function stage() {
  const sockets: Opened[] = [];
  const timers: { ms: number; act: () => void; off: boolean }[] = [];
  const heard: StreamMessage[] = [];
  const states: boolean[] = [];
  let missed = 0;
  const stream = new LiveStream(
    {
      open(patterns, resume) {
        const socket: Opened = {
          patterns, resume, sent: [], closed: false,
          onopen: null, onclose: null, onmessage: null,
          send(text) { this.sent.push(text); },
          close() { this.closed = true; },
        };
        sockets.push(socket);
        return socket;
      },
      after(ms, act) {
        const timer = { ms, act, off: false };
        timers.push(timer);
        return () => { timer.off = true; };
      },
      now: () => 1000,
      random: () => 0.5,
    },
    {
      message: (message) => heard.push(message),
      state: (live) => states.push(live),
      missed: () => (missed += 1),
    },
  );
  const say = (message: StreamMessage) =>
    sockets.at(-1)!.onmessage!({ data: JSON.stringify(message) });
  const wait = () => {
    const timer = timers.findLast((one) => !one.off)!;
    timer.off = true;
    timer.act();
  };
  return { stream, sockets, heard, states, say, wait, missed: () => missed };
}

const snapshot = (token: string): StreamMessage => ({ kind: "snapshot", token, readings: [] });
const readings = (token: string): StreamMessage => ({ kind: "readings", token, readings: [] });

test("a cut stream is resumed after the last token", () => {
  const { stream, sockets, say, wait, states } = stage();
  stream.listen(["a/**"]);
  sockets[0]!.onopen!();
  say(snapshot("1"));
  say(readings("2"));
  sockets[0]!.onclose!();
  assert.deepEqual(states.at(-1), false);
  wait();
  assert.equal(sockets[1]!.resume, "2");
  assert.deepEqual(sockets[1]!.patterns, ["a/**"]);
});

test("a change of patterns is asked for on the open stream", () => {
  const { stream, sockets, say } = stage();
  stream.listen(["a/**"]);
  sockets[0]!.onopen!();
  say(snapshot("1"));
  stream.listen(["b/**"]);
  stream.listen(["b/**"]);
  assert.deepEqual(sockets[0]!.sent, ['{"patterns":["b/**"]}']);
});

test("a token is used only with the patterns it was given for", () => {
  const { stream, sockets, say, wait } = stage();
  stream.listen(["a/**"]);
  sockets[0]!.onopen!();
  say(snapshot("1"));
  stream.listen(["b/**"]);
  say(readings("2"));
  sockets[0]!.onclose!();
  wait();
  assert.deepEqual(sockets[1]!.patterns, ["a/**"]);
  assert.equal(sockets[1]!.resume, "2");
  sockets[1]!.onopen!();
  assert.deepEqual(sockets[1]!.sent, ['{"patterns":["b/**"]}']);
  say(snapshot("3"));
  sockets[1]!.onclose!();
  wait();
  assert.deepEqual(sockets[2]!.patterns, ["b/**"]);
});

test("a gap is told to the listener and its snapshot keeps the old patterns", () => {
  const { stream, sockets, say, wait, missed } = stage();
  stream.listen(["a/**"]);
  sockets[0]!.onopen!();
  say(snapshot("1"));
  sockets[0]!.onclose!();
  stream.listen(["b/**"]);
  wait();
  sockets[1]!.onopen!();
  say({ kind: "gap", token: "8", reason: "too old" });
  assert.equal(missed(), 1);
  say(snapshot("9"));
  sockets[1]!.onclose!();
  wait();
  assert.deepEqual(sockets[2]!.patterns, ["a/**"]);
});

test("what an abandoned socket still says is not heard", () => {
  const { stream, sockets, heard } = stage();
  stream.listen(["a/**"]);
  stream.close();
  assert.equal(sockets[0]!.onmessage, null);
  assert.equal(heard.length, 0);
});

test("the wait doubles, is never longer than 15 s, and is partly luck", () => {
  assert.equal(backOff(0, 0), 250);
  assert.equal(backOff(0, 1), 500);
  assert.equal(backOff(3, 1), 4000);
  assert.equal(backOff(50, 1), 15_000);
});

test("a stream that says nothing for half a minute is taken for dead", () => {
  const { stream, sockets, say, wait, states } = stage();
  stream.listen(["a/**"]);
  sockets[0]!.onopen!();
  say(snapshot("1"));
  wait(); // the watch runs out
  assert.equal(sockets[0]!.closed, true);
  assert.equal(states.at(-1), false);
  wait(); // the pause before the next try
  assert.equal(sockets[1]!.resume, "1");
});
