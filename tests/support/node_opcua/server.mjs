// An OPC UA server on node-opcua, told by JSON lines what to do.
//
//     node server.mjs '{"port": 0, "home": "/tmp/x"}'
//
// It prints {"port": ...} when it can be connected, then one line for each order it
// gets. It ends when its standard input does.

import { createInterface } from "node:readline";
import path from "node:path";
import {
  DataType, MessageSecurityMode, OPCUACertificateManager,
  OPCUAServer, SecurityPolicy, StatusCodes, Variant, VariantArrayType,
  makeAccessLevelFlag, standardUnits,
} from "node-opcua";
import { readCertificate } from "node-opcua-crypto";
import { addPress, addTank } from "./tank.mjs";

const options = {
  port: 0, padding: 0, count: 0, hz: 0, limits: {}, password: "", more: 0, spread: 1,
  ...JSON.parse(process.argv[2] ?? "{}"),
};
const home = options.home;
const certificates = new OPCUACertificateManager({
  rootFolder: path.join(home, "pki"), automaticallyAcceptUnknownCertificate: true,
});
await certificates.initialize();
// Users whose certificate the server knows; others are refused.
const users = new OPCUACertificateManager({
  rootFolder: path.join(home, "users"), automaticallyAcceptUnknownCertificate: false,
});
await users.initialize();
if (options.userCertificate) {
  await users.trustCertificate(readCertificate(options.userCertificate));
}
const secured = options.certificate
  ? { certificateFile: options.certificate, privateKeyFile: options.key }
  : {};
const server = new OPCUAServer({
  port: options.port,
  host: "127.0.0.1",
  hostname: "127.0.0.1",
  ...(options.tokenLifetime
    ? { defaultSecureTokenLifetime: options.tokenLifetime } : {}),
  ...secured,
  serverCertificateManager: certificates,
  securityModes: [
    MessageSecurityMode.None, MessageSecurityMode.Sign,
    MessageSecurityMode.SignAndEncrypt,
  ],
  securityPolicies: [SecurityPolicy.None, SecurityPolicy.Basic256Sha256],
  allowAnonymous: !options.password && !options.userCertificate,
  userCertificateManager: users,
  userManager: {
    isValidUser: (user, password) =>
      user === "operator" && password === options.password,
  },
  serverCapabilities: {
    maxSubscriptionsPerSession: 20,
    operationLimits: options.limits,
    ...(options.mostItems
      ? { maxMonitoredItemsPerSubscription: options.mostItems }
      : {}),
  },
});
await server.initialize();
const space = server.engine.addressSpace;
for (let n = 0; n < options.padding; n++) space.registerNamespace(`urn:padding:${n}`);
const plant = space.registerNamespace("urn:lineshaft:peer");
const folder = plant.addFolder(space.rootFolder.objects, { browseName: "Peer" });
const variables = new Map();

const MOMENT = new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678));
const scalars = {
  Boolean: false, SByte: -100, Byte: 200, Int16: -30000, UInt16: 60000,
  Int32: -2000000000, UInt32: 4000000000, Float: 1.5, Double: -2.25, String: "grün",
  DateTime: MOMENT, ByteString: Buffer.from([0, 255]),
  Guid: "12345678-1234-5678-1234-567812345678",
  Int64: [0x7fffffff, 0xffffffff], UInt64: [0xffffffff, 0xfffffffe],
  LocalizedText: { locale: "en", text: "open" },
};

function scalar(dataType, value) {
  return new Variant({ dataType, arrayType: VariantArrayType.Scalar, value });
}

function add(name, dataType, value, extra = {}) {
  const variable = plant.addVariable({
    organizedBy: folder, browseName: name, nodeId: `s=${name}`, dataType,
    minimumSamplingInterval: 0, value: scalar(dataType, value), ...extra,
  });
  variables.set(name, variable);
  return variable;
}

for (const [name, value] of Object.entries(scalars)) {
  add(name, DataType[name], value);
  variables.get(name).setValueFromSource(
    scalar(DataType[name], value), StatusCodes.Good, MOMENT);
}
add("ReadOnly", DataType.Double, 7, {
  accessLevel: makeAccessLevelFlag("CurrentRead"),
  userAccessLevel: makeAccessLevelFlag("CurrentRead"),
});
plant.addVariable({
  organizedBy: folder, browseName: "Array", nodeId: "s=Array", dataType: "Double",
  valueRank: 1, value: new Variant({
    dataType: DataType.Double, arrayType: VariantArrayType.Array, value: [1, 2, 3],
  }),
});
const oven = plant.addAnalogDataItem({
  componentOf: folder, browseName: "Oven", nodeId: "s=Oven", dataType: "Double",
  definition: "temperature of the oven", engineeringUnits: standardUnits.degree_celsius,
  engineeringUnitsRange: { low: 0, high: 500 }, minimumSamplingInterval: 0,
  description: "Temperature of the oven",
  value: new Variant({ dataType: DataType.Double, value: 180 }),
});
variables.set("Oven", oven);
const shelf = plant.addFolder(folder, { browseName: "Shelf" });
shelf.addReference({ referenceType: "Organizes", nodeId: folder }); // a circle
for (let n = 0; n < options.more; n++) {
  add(`More${n}`, DataType.Int32, n, { organizedBy: shelf });
}
const busy = [];
for (let n = 0; n < options.count; n++) {
  busy.push(add(`V${n}`, DataType.Double, 0, { organizedBy: shelf }));
}

const happening = options.tank ? addTank(space, plant) : {};
const pressing = addPress(space, plant);

let turns = 0;
let changed = 0;
let began = 0;
let seconds = 0; // from the begin to the last turn
let ticking;

// One value object and one time for all of a turn: what is left is the work of the
// library itself, so that two cores can offer 25,000 changes a second.
function tick() {
  turns += 1;
  const value = scalar(DataType.Double, turns);
  const now = new Date();
  for (const variable of busy) {
    variable.setValueFromSource(value, StatusCodes.Good, now);
  }
  changed += busy.length;
  seconds = (performance.now() - began) / 1000;
  // Timers of Node are late; the next turn is due by the clock, not by this one. But
  // two turns within a sampling interval would be one change to the server.
  const due = began + (turns + 1) * (1000 / options.hz);
  ticking = setTimeout(tick, Math.max(750 / options.hz, due - performance.now()));
}

function variant(name, value) {
  const { dataType } = variables.get(name).readValue().value;
  return scalar(dataType, value);
}

function subscriptions() {
  const sessions = Object.values(server.engine._sessions);
  return sessions.flatMap((session) =>
    (session.publishEngine?.subscriptions ?? []).map((one) => [session, one]));
}

const orders = {
  set: ({ name, value, status, time }) => variables.get(name).setValueFromSource(
    variant(name, value), StatusCodes[status ?? "Good"],
    time ? new Date(time) : new Date()),
  get: ({ name }) => {
    const { value } = variables.get(name).readValue().value;
    return value instanceof Date ? value.toISOString() : value;
  },
  burst: ({ name, count, pause }) => {
    // node-opcua looks at a variable every 50 ms at most.
    const variable = variables.get(name);
    let n = 0;
    const step = () => {
      variable.setValueFromSource(variant(name, ++n));
      if (n < count) setTimeout(step, pause);
    };
    step();
  },
  begin: () => {
    began = performance.now() - turns * (1000 / options.hz);
    ticking = setTimeout(tick, 1000 / options.hz);
  },
  end: () => { clearTimeout(ticking); return { turns, changed, seconds }; },
  drop: () => {
    const found = subscriptions();
    for (const [session, one] of found) session.deleteSubscription(one.id);
    return found.length;
  },
  ...happening,
  ...pressing,
  register: ({ name }) => { space.registerNamespace(name); },
  open: () => ({
    sessions: server.engine.currentSessionCount,
    subscriptions: server.engine.currentSubscriptionCount,
  }),
};

await server.start();
const { port } = server.endpoints[0];
process.stdout.write(`${JSON.stringify({ port: Number(port) })}\n`);
const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const order = JSON.parse(line);
  const answer = orders[order.do](order) ?? null;
  process.stdout.write(`${JSON.stringify({ answer })}\n`);
});
lines.on("close", () => process.exit(0));
