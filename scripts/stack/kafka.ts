// SPDX-License-Identifier: Apache-2.0
// A real Apache Kafka broker with one node. scripts/build/kafka.ts downloads it.
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePorts, startProgram, temporaryDirectory } from './program.ts';
import { type Restartable, startRestartable } from './restartable.ts';

const READY_WITHIN_MS = 120_000;
/** Any UUID: the cluster has one member. */
const CLUSTER_ID = 'MkU3OEVBNTcwNTJENDM2Qk';

export interface Kafka extends Restartable {
  readonly address: string;
  /** The bytes that it has stored of a topic. */
  readonly storedBytes: (topic: string) => number;
}

export async function startKafka(): Promise<Kafka> {
  const jars = process.env.WHODUNIT_TEST_KAFKA;
  if (jars === undefined) throw new Error('WHODUNIT_TEST_KAFKA is not set: run npm run test:configs');
  const directory = temporaryDirectory();
  const [port = 0, controller = 0] = await freePorts(2);
  const config = join(directory.path, 'server.properties');
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': join(directory.path, 'logs'),
    'num.partitions': 1,
    'offsets.topic.num.partitions': 1,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
  };
  writeFileSync(
    config,
    Object.entries(settings)
      .map((pair) => `${pair.join('=')}\n`)
      .join(''),
  );
  const java = ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-cp', join(jars, '*')];
  execFileSync('java', [...java, 'kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', config], {
    stdio: 'pipe',
  });
  const broker = await startRestartable({
    name: 'the Kafka broker',
    readyWithinMs: READY_WITHIN_MS,
    start: () => startProgram('java', [...java, 'kafka.Kafka', config], { cwd: directory.path }),
    isReady: (program) => (/Kafka Server started/.test(program.output()) ? listens(port) : undefined),
    remove: directory.remove,
  });
  return Object.assign(broker, {
    address: `127.0.0.1:${port}`,
    storedBytes: (topic: string) => storedBytes(join(directory.path, 'logs'), topic),
  });
}

/** Of the segments of its partitions, each in a directory. */
function storedBytes(directory: string, topic: string): number {
  return readdirSync(directory)
    .filter((name) => name.replace(/-\d+$/, '') === topic)
    .flatMap((name) => readdirSync(join(directory, name)).map((file) => join(directory, name, file)))
    .filter((path) => path.endsWith('.log'))
    .reduce((sum, path) => sum + statSync(path).size, 0);
}

function listens(port: number): Promise<true | undefined> {
  const socket = connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    const done = (answer: true | undefined) => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('connect', () => done(true));
    socket.on('error', () => done(undefined));
  });
}
