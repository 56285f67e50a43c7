// Prints, as JSON, the first message on each topic of a server: node foxglove_client.cjs URL TOPICS
const { FoxgloveClient } = require("@foxglove/ws-protocol");
const { WebSocket } = require("ws");

const [url, wanted] = process.argv.slice(2);
const client = new FoxgloveClient({ ws: new WebSocket(url, ["foxglove.sdk.v1"]) });
const channels = new Map(); // by subscription
const found = {};
client.on("advertise", (advertised) => {
  for (const channel of advertised) channels.set(client.subscribe(channel.id), channel);
});
client.on("message", ({ subscriptionId, timestamp, data }) => {
  const { topic, encoding, schemaName, schema } = channels.get(subscriptionId);
  found[topic] ??= {
    encoding, schemaName, schema, time: String(timestamp),
    data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64"),
  };
  if (Object.keys(found).length === Number(wanted)) {
    console.log(JSON.stringify(found));
    client.close();
  }
});
client.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
