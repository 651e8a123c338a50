// A device: it starts its stream and ends it.
//
// node device.js cam-1 [message-id]

const { randomUUID } = require("node:crypto");
const { setTimeout: sleep } = require("node:timers/promises");
const amqp = require("amqplib");

const BROKER = process.env.STREAMS_AMQP_URL ?? "amqp://guest:guest@localhost:5672/";
const TRY_MS = 5_000;
const GIVE_UP_MS = 15_000;
const PAUSE_MS = 1_000;

const deviceId = process.argv[2];
// A device that may crash writes its message id down before it asks, and asks with it again.
const messageId = process.argv[3] ?? randomUUID();

async function main() {
  const { stream } = await ask("stream.create", { device_id: deviceId }, messageId);
  await ask("stream.stop", { code: stream.code }, randomUUID());
}

// Asks until there is an answer. Each time with the same message id: the command takes effect once.
async function ask(command, body, messageId) {
  const deadline = Date.now() + GIVE_UP_MS;
  for (;;) {
    try {
      return read(await askOnce(command, body, messageId));
    } catch (error) {
      if (Date.now() + PAUSE_MS > deadline) throw error;
    }
    await sleep(PAUSE_MS);
  }
}

function read(reply) {
  const answer = JSON.parse(reply.content);
  if (reply.properties.type === "stream.problem") {
    console.error(`${answer.code}: ${answer.detail}`);
    process.exit(1);
  }
  console.log(answer.outcome, answer.stream.device_id, answer.stream.code);
  return answer;
}

async function askOnce(command, body, messageId) {
  const connection = await amqp.connect(BROKER, { timeout: TRY_MS });
  try {
    return await new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error(`no reply within ${TRY_MS / 1_000} s; is a worker running?`)), TRY_MS);
      connection.on("error", reject).on("close", () => reject(new Error("the connection was lost")));
      send(connection, command, body, messageId, resolve, reject).catch(reject);
    });
  } finally {
    // It may be closed already, or the broker may not answer.
    await Promise.race([connection.close().catch(() => {}), sleep(PAUSE_MS)]);
  }
}

async function send(connection, command, body, messageId, onReply, onTrouble) {
  const channel = await connection.createConfirmChannel();
  channel.on("error", onTrouble).on("return", () => onTrouble(new Error("no queue takes commands")));
  // Direct reply-to: no queue to make or to clean up. Listen first, on the channel that will publish.
  await channel.consume("amq.rabbitmq.reply-to", onReply, { noAck: true });
  const properties = {
    type: command,
    messageId,
    userId: decodeURIComponent(new URL(BROKER).username), // the broker checks it; the worker may ask for it
    replyTo: "amq.rabbitmq.reply-to",
    contentType: "application/json",
    persistent: true,
    mandatory: true, // a return where no queue takes it, in place of silence
  };
  // The routing key is the device: partitions and permissions go by it.
  channel.publish("streams.commands", deviceId, Buffer.from(JSON.stringify(body)), properties);
  await channel.waitForConfirms(); // the broker has it safe
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(`no answer: ${error}; run it again with the message id ${messageId}`);
    process.exit(75);
  },
);
