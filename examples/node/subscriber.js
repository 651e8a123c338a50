// A subscriber: it prints what happens to streams.
//
// node subscriber.js [queue]

const amqp = require("amqplib");

const BROKER = process.env.STREAMS_AMQP_URL ?? "amqp://guest:guest@localhost:5672/";
// Beyond the limit the broker would drop an event, and from RabbitMQ 4 on a lost connection counts.
const DURABLE = { durable: true, arguments: { "x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000 } };
const PREFETCH = 50;
const IDS_MAX = 50_000;

// Of the latest events, and of each device. Keep them with what you make of the events, to survive.
const ids = new Set();
const highest = new Map();

async function main(queue) {
  const connection = await amqp.connect(BROKER);
  connection.on("close", () => end("the connection was lost"));
  const channel = await connection.createChannel();
  await channel.assertQueue(queue, DURABLE); // keeps what happens while nobody listens
  await channel.bindQueue(queue, "streams.events", "#"); // stream.created.# or stream.*.cam-1 would do, too
  await channel.prefetch(PREFETCH);
  await channel.consume(queue, (message) => {
    if (message === null) end("the queue was deleted");
    handle(JSON.parse(message.content));
    channel.ack(message); // only now: if we die before, it comes again
  });
}

function handle({ id, type, sequence: text, data: { stream } }) {
  if (ids.has(id)) return; // a repeat: events come at least once
  const sequence = BigInt(text); // 64 bits, of which a Number has 53
  const before = highest.get(stream.device_id) ?? sequence - 1n;
  if (sequence > before + 1n) console.log(`missed ${sequence - before - 1n} of ${stream.device_id}`);
  console.log(text, type, stream.device_id, stream.code); // here you make something of it
  highest.set(stream.device_id, sequence > before ? sequence : before);
  if (ids.add(id).size > IDS_MAX) ids.delete(ids.values().next().value); // the oldest
}

function end(reason) {
  console.error(reason);
  process.exit(1); // whatever runs this starts it again; the queue has kept everything
}

main(process.argv[2] ?? "example-node").catch((error) => end(`${error}`));
