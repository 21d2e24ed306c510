// Encodes and decodes Sparkplug B payloads with the library of the specification's
// authors. Each line on standard input is ["encode", payload] or ["decode", hex]; each
// is answered with a line. 64-bit integers travel as text.
"use strict";
const Long = require("long");
const { encodePayload, decodePayload } =
  require("sparkplug-payload").get("spBv1.0");

const WIDE = new Set(["Int64", "UInt64", "DateTime"]);

function encode(payload) {
  for (const metric of payload.metrics) {
    if (WIDE.has(metric.type) && metric.value !== null) {
      metric.value = Long.fromString(metric.value, metric.type === "UInt64");
    }
  }
  return Buffer.from(encodePayload(payload)).toString("hex");
}

function plain(key, value) {
  if (Long.isLong(value)) return value.toString();
  return typeof value === "bigint" ? value.toString() : value;
}

require("readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [verb, what] = JSON.parse(line);
    const answer =
      verb === "encode" ? encode(what) : decodePayload(Buffer.from(what, "hex"));
    process.stdout.write(JSON.stringify(answer, plain) + "\n");
  });
