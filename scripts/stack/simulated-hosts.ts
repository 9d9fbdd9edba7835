// SPDX-License-Identifier: Apache-2.0
// Many hosts of a fleet in one process, without kernel and loader. Each has the pipeline, the queue on disk, the delivery and the official
// exporter of the service, and a connection of its own. They read lines of test/wire/, with the identity of another process each time. Left out are
// the socket of the loader, the history and metrics.
import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Host } from '../../src/core/identity/host.ts';
import { Decoder } from '../../src/core/wire/wire.ts';
import { hostReader } from '../../src/io/host.ts';
import { Log } from '../../src/io/log.ts';
import { Delivery } from '../../src/io/otlp/deliver.ts';
import { createLogSender } from '../../src/io/otlp/log-sender.ts';
import { type Item, Queue } from '../../src/io/queue/queue.ts';
import { readRules } from '../../src/io/rules.ts';
import { handleMessage, type Pipeline } from '../../src/pipeline.ts';
import { newState } from '../../src/state.ts';
import { goldenObject, line } from './fake-loader.ts';
import { temporaryDirectory } from './program.ts';

/** What terminates, in turn. */
const KINDS = ['exit-3', 'exit-after-sigterm', 'oom', 'segfault', 'sigkill-by-another'].map((kind) => `death-${kind}`);
const SETTINGS = {
  arguments: 'redacted',
  logins: 'on',
  recordsPerMinute: Number.POSITIVE_INFINITY,
  spans: 'joined',
} as const;
const QUEUE_BYTES_MAX = 2 ** 28;
const PID_FIRST = 1_000;
const RAN_NS = 3_600_000_000_000n;
const MS_NS = 1_000_000n;
/** Of the second part of a host's address, 127.1.a.b. */
const ADDRESS_BYTE = 256;
const CLOSE_WITHIN_MS = 1_000;

export interface SimulatedHost {
  /** Reports terminations. Returns the uids of their records. */
  readonly terminate: (count: number) => string[];
  /** Records that were not accepted yet. */
  readonly waiting: () => number;
  readonly stop: () => Promise<void>;
}

export interface Fleet {
  readonly hosts: readonly SimulatedHost[];
  /** Records of all hosts that were not accepted yet. */
  readonly waiting: () => number;
  /** What the services logged. */
  readonly output: () => string;
  readonly stop: () => Promise<void>;
}

export interface FleetOptions {
  readonly count: number;
  /** The port for gRPC of a collector that listens on all addresses. */
  readonly port: number;
  /** Services of each host. */
  readonly services: number;
  /** Where the queues are; default: in the directory for temporary files. */
  readonly parent?: string;
}

/** Each host connects to an address of its own, because those that connect to the same one would share a connection. */
export async function startFleet({ count, port, services, parent }: FleetOptions): Promise<Fleet> {
  const directory = temporaryDirectory(parent);
  const logged: string[] = [];
  const log = new Log((text) => logged.push(text));
  const machine = hostReader()();
  const hosts: SimulatedHost[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = `web-${index}`;
    const address = `127.1.${Math.floor(index / ADDRESS_BYTE)}.${index % ADDRESS_BYTE}`;
    const host = { ...machine, id: randomBytes(16).toString('hex'), name };
    const endpoint = `http://${address}:${port}`;
    hosts.push(await startHost({ host, endpoint, services, directory: join(directory.path, name), log }));
  }
  return {
    hosts,
    waiting: () => hosts.reduce((sum, host) => sum + host.waiting(), 0),
    output: () => logged.join('\n'),
    stop: async () => {
      await Promise.all(hosts.map((host) => host.stop()));
      directory.remove();
    },
  };
}

interface HostOptions {
  readonly host: Host;
  readonly endpoint: string;
  readonly services: number;
  readonly directory: string;
  readonly log: Log;
}

async function startHost({ host, endpoint, services, directory, log }: HostOptions): Promise<SimulatedHost> {
  const queue = new Queue({ directory, bytesMax: QUEUE_BYTES_MAX, log });
  const sender = await createLogSender('grpc', { url: endpoint });
  const send = (records: readonly Uint8Array[]) => sender.send(records);
  const target = { protocol: 'grpc', endpoint } as const;
  const delivery = new Delivery({ queue, send, onDelivered: () => {}, log, target });
  const pipeline = pipelineOf(host, newState(await readRules({ path: null, mode: 'all' }), SETTINGS));
  const bootId = randomUUID();
  const decoder = new Decoder();
  let reported = 0;
  const next = (): Item => {
    reported += 1;
    const [decoded] = decoder.push(Buffer.from(lineOf(reported, services)));
    if (decoded?.ok !== true || decoded.message.type !== 'death') throw new Error('the line is not a termination');
    const item = handleMessage(pipeline, decoded.message, bootId);
    if (item === null || item.record === null) throw new Error('the termination has no record');
    return item;
  };
  return {
    terminate: (count) => {
      const items = Array.from({ length: count }, next);
      queue.put(items);
      delivery.wake();
      return items.map(({ uid }) => uid);
    },
    waiting: () => queue.pending,
    stop: async () => {
      await delivery.close(CLOSE_WITHIN_MS);
      sender.close();
      queue.close();
    },
  };
}

/** What becomes of its items is the caller's business. */
function pipelineOf(host: Host, state: Pipeline['state']): Pipeline {
  return {
    settings: SETTINGS,
    state,
    host: () => host,
    clock: { wallMs: Date.now, steadyMs: () => performance.now(), later: setTimeout },
    outOfMemory: null,
    effects: {
      sendSpan: null,
      countTermination: () => {},
      store: async () => true,
      durable: true,
      keepUnreported: null,
      unknownRepeats: () => {},
    },
  };
}

const TEMPLATES = KINDS.map(goldenObject);

/** The line of the termination with this number: a pod of its own, with its name, its id and an argument that no other has. */
function lineOf(number: number, services: number): string {
  const death = structuredClone(TEMPLATES[number % TEMPLATES.length]);
  const service = `service-${number % services}`;
  const endedNs = BigInt(Date.now()) * MS_NS + BigInt(number % Number(MS_NS));
  const declared = [
    'service.version=1.4.2',
    `service.instance.id=${randomUUID()}`,
    'k8s.namespace.name=shop',
    `k8s.pod.name=${service}-${randomBytes(5).toString('hex')}`,
  ];
  Object.assign(death, { seq: String(number), time_ns: String(endedNs), clock_offset_ns: '0' });
  Object.assign(death.process, {
    pid: PID_FIRST + number,
    start_boottime_ns: String(endedNs - RAN_NS),
    otel_context: null,
    args: [...death.process.args, `--job=${randomBytes(8).toString('hex')}`],
    env: { OTEL_SERVICE_NAME: service, OTEL_RESOURCE_ATTRIBUTES: declared.join(',') },
  });
  if (death.signal !== null) death.signal.time_ns = String(endedNs - MS_NS);
  return line(death);
}
