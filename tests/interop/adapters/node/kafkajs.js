// KafkaJS behind the line protocol. Its node_modules are found through NODE_PATH.
const fs = require('fs');
const readline = require('readline');
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs');
const SnappyCodec = require('kafkajs-snappy');
const lz4 = require('lz4js');
const xxh32 = require('lz4js/xxh32.js');
const zstd = require('@bokuweb/zstd-wasm');

const quiet = () => ({ namespace, log }) => process.stderr.write(`${namespace} ${log.message} ${log.error || ''}\n`);
const kafka = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.WARN, logCreator: quiet,
  retry: { initialRetryTime: 50, retries: 10 }, ...security() });

// What ADAPTER_SECURITY asks for, in KafkaJS' words.
function security() {
  if (!process.env.ADAPTER_SECURITY) return {};
  const s = JSON.parse(fs.readFileSync(process.env.ADAPTER_SECURITY));
  const config = { retry: { initialRetryTime: 50, retries: 2 } };
  const read = (path) => (path ? fs.readFileSync(path) : undefined);
  if (s.TLS) config.ssl = { ca: [read(s.CA)], cert: read(s.Certificate), key: read(s.Key), servername: 'localhost' };
  if (s.Mechanism === 'OAUTHBEARER') config.sasl = { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: s.Token }) };
  else if (s.Mechanism) config.sasl = { mechanism: s.Mechanism.toLowerCase(), username: s.User, password: s.Password };
  return config;
}

// lz4js does not say that its blocks are independent, which Kafka demands. They are: what
// we send fits into one.
function independent(frame) {
  frame[4] |= 0x20;
  frame[6] = (xxh32.hash(0, frame, 4, 2) >> 8) & 0xff;
  return frame;
}

CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec;
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => independent(Buffer.from(lz4.compress(encoder.buffer))),
  decompress: async (buffer) => Buffer.from(lz4.decompress(buffer)),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer, 3)),
  decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
});
const codecs = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD };

const hex = (b) => (b === null || b === undefined ? '-' : Buffer.from(b).toString('hex'));
const unhex = (s) => (s === '-' ? null : Buffer.from(s, 'hex'));

function parse(line) {
  const [partition, timestamp, key, value, headers] = line.split('\t');
  const r = { partition: Number(partition), key: unhex(key), value: unhex(value), headers: {} };
  if (timestamp !== '-') r.timestamp = timestamp;
  for (const h of headers ? headers.split(',') : []) {
    const [name, bytes] = h.split(':');
    r.headers[name] = unhex(bytes);
  }
  return r;
}

async function produce(topic, codec, records, options) {
  const producer = kafka.producer({ idempotent: options.idempotent === 'true' });
  await producer.connect();
  try {
    const acks = { 0: 0, 1: 1, all: -1 }[options.acks || 'all'];
    for (let at = 0; at < records.length; at += 20) {
      await producer.send({ topic, acks, compression: codecs[codec], messages: records.slice(at, at + 20) });
    }
  } finally {
    await producer.disconnect();
  }
}

// KafkaJS consumes in groups only: for no group a new one is used and nothing committed.
async function consume(group, topics, count, timeoutMs) {
  const consumer = kafka.consumer({ groupId: group === '-' ? `none-${Date.now()}-${process.pid}` : group, maxWaitTimeInMs: 200 });
  await consumer.connect();
  try {
    await consumer.subscribe({ topics, fromBeginning: true });
    const next = new Map(); // 'topic partition' -> offset after the last record seen
    let seen = 0;
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`read ${seen} of ${count} records within ${timeoutMs} ms`)), timeoutMs);
      consumer.run({
        autoCommit: false,
        eachMessage: async ({ topic, partition, message }) => {
          if (seen >= count) return;
          const headers = Object.entries(message.headers || {}).map(([name, v]) => `${name}:${hex(v)}`).join(',');
          process.stdout.write(['R', topic, partition, message.offset, message.timestamp, hex(message.key), hex(message.value), headers].join('\t') + '\n');
          next.set(`${topic} ${partition}`, (BigInt(message.offset) + 1n).toString());
          if (++seen === count) {
            clearTimeout(timer);
            resolve();
          }
        },
      }).catch(reject);
    });
    if (group !== '-') {
      await consumer.commitOffsets([...next].map(([at, offset]) => {
        const [topic, partition] = at.split(' ');
        return { topic, partition: Number(partition), offset };
      }));
    }
  } finally {
    await consumer.disconnect();
  }
}

async function create(topic, partitions) {
  const admin = kafka.admin();
  await admin.connect();
  try {
    await admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 1 }] });
  } finally {
    await admin.disconnect();
  }
}

async function main() {
  await zstd.init();
  const input = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const line = async () => (await input.next()).value;
  for (let command = await line(); command !== undefined && command !== 'quit'; command = await line()) {
    const w = command.split(' ');
    try {
      if (w[0] === 'produce') {
        const records = [];
        for (let i = Number(w[3]); i > 0; i--) records.push(parse(await line()));
        await produce(w[1], w[2], records, Object.fromEntries(w.slice(4).map((o) => o.split('='))));
      } else if (w[0] === 'consume') {
        await consume(w[1], w[2].split(','), Number(w[3]), Number(w[4]));
      } else if (w[0] === 'create') {
        await create(w[1], Number(w[2]));
      } else {
        throw new Error(`no such command: ${w[0]}`);
      }
      process.stdout.write('OK\n');
    } catch (e) {
      process.stderr.write(`${e.stack}\n`);
      process.stdout.write(`ERR ${String(e).replace(/\n/g, ' ')}\n`);
    }
  }
  process.exit(0);
}

main();
