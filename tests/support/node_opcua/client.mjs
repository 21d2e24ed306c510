// An OPC UA client on node-opcua: what a SCADA does with a server.
//
//     node client.mjs URL NODE [VALUE]
//
// It browses from Objects to all variables, reads NODE, reads its history, writes VALUE
// (a Double or Int64 as the node says) and prints one line of JSON.

import {
  AttributeIds, DataType, OPCUAClient, TimestampsToReturn, VariantArrayType,
} from "node-opcua";

const [url, identifier, value] = process.argv.slice(2);
const client = OPCUAClient.create({ endpointMustExist: false });
await client.connect(url);
const session = await client.createSession();
const namespaces = await session.readNamespaceArray();
const index = namespaces.indexOf("urn:lineshaft:plant");
const nodeId = `ns=${index};s=${identifier}`;

const seen = [];
async function walk(node) {
  const { references } = await session.browse(node);
  for (const each of references) {
    if (each.nodeId.namespace !== index) continue;
    if (each.nodeClass === 2) seen.push(each.nodeId.value);
    else await walk(each.nodeId);
  }
}
await walk("ObjectsFolder");

const told = await session.read({ nodeId, attributeId: AttributeIds.Value });
const heard = await new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error("nothing was heard")), 20000).unref();
  session.createSubscription2({
    requestedPublishingInterval: 100, requestedLifetimeCount: 600,
    requestedMaxKeepAliveCount: 20, publishingEnabled: true,
  }).then((to) =>
    to.monitor(
      { nodeId, attributeId: AttributeIds.Value }, { samplingInterval: 0, queueSize: 10 },
      TimestampsToReturn.Both,
    )).then((item) => item.on("changed", resolve));
});
const [past] = await session.readHistoryValue(
  [nodeId], new Date(Date.now() - 3600e3), new Date(),
);
let written = null;
if (value !== undefined) {
  const dataType = told.value.dataType;
  const said = dataType === DataType.Int64 ? [0, Number(value)] : Number(value);
  written = (await session.write({
    nodeId, attributeId: AttributeIds.Value,
    value: { value: { dataType, arrayType: VariantArrayType.Scalar, value: said } },
  })).name;
}
process.stdout.write(`${JSON.stringify({
  seen: seen.sort(),
  status: told.statusCode.name,
  type: DataType[told.value.dataType],
  source: told.sourceTimestamp,
  heard: heard.statusCode.name,
  past: past.historyData?.dataValues?.length ?? 0,
  written,
})}\n`);
await session.close();
await client.disconnect();
