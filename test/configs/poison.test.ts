// SPDX-License-Identifier: Apache-2.0
// A record that the backend permanently refuses (400) must not block the records after it: through gateway.yaml with a real Kafka, whose
// topic has one partition, and through agent.yaml with its queue on disk. The alert's metric counts what is dropped. What it refuses for now
// (429) waits. And no record may be refused because a later one was faster: the agent keeps their order.
import { afterEach, describe, expect, it } from 'vitest';
import { startKafka } from '../../scripts/stack/kafka.ts';
import { freePorts, until } from '../../scripts/stack/program.ts';
import { type Shipped, startShipped } from '../../scripts/stack/shipped.ts';
import { type Backend, startBackend } from './backend.ts';

const ARRIVES_WITHIN_MS = 60_000;
const POISON = 'poisonous';
const LATER = 'too much for now';
/** Longer than the timeout of one attempt. */
const REFUSED_MS = 10_000;
/** Longer than the agent waits for more records in a batch. */
const BETWEEN_BATCHES_MS = 250;

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

function later<T extends { stop: () => unknown }>(started: T): T {
  cleanUp.push(() => started.stop());
  return started;
}

/** Sends one log record, which the collector must accept. */
async function send({ http }: Shipped, body: string): Promise<void> {
  const logRecords = [{ timeUnixNano: String(BigInt(Date.now()) * 1_000_000n), body: { stringValue: body } }];
  const response = await fetch(`${http}/v1/logs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] }),
  });
  expect(response.status).toBe(200);
}

/** The log records that an exporter of the collector failed to send, from its own metrics, by the name that the alert selects. */
async function dropped({ metrics }: Shipped): Promise<number> {
  const page = await (await fetch(metrics)).text();
  const values = page.matchAll(/^otelcol_exporter_send_failed_log_records(?:_total)?\{[^}]*\} (\S+)$/gm);
  return [...values].reduce((sum, [, value]) => sum + Number(value), 0);
}

/** A gateway, and the collector behind it, before this backend. */
async function gatewayTo(backend: Backend): Promise<Shipped> {
  const kafka = later(await startKafka());
  const behind = later(await startShipped(['collector'], { BACKEND_OTLP_ENDPOINT: backend.url }));
  return later(
    await startShipped(['gateway'], {
      KAFKA_BROKERS: kafka.address,
      BACKEND_COLLECTORS: '127.0.0.1',
      BACKEND_COLLECTORS_HTTP: behind.http,
      BACKEND_COLLECTORS_PORT: new URL(behind.grpc).port,
    }),
  );
}

describe('what the backend does not accept for now', () => {
  it.each([429, 503])('waits in Kafka behind gateway.yaml: HTTP %i', async (status) => {
    const backend = later(await startBackend(LATER, 0, status));
    const gateway = await gatewayTo(backend);
    const { output } = gateway.program;
    await send(gateway, LATER);
    await until('the refusal', ARRIVES_WITHIN_MS, () => backend.refused.length > 0 || undefined, output);
    await new Promise((resolve) => setTimeout(resolve, REFUSED_MS));
    backend.recover();
    const arrived = () => backend.accepted.some((bytes) => bytes.includes(LATER)) || undefined;
    await until('the record', ARRIVES_WITHIN_MS, arrived, output);
  });
});

describe('a refused record does not block the next one', () => {
  it('in a Kafka partition behind gateway.yaml', async () => {
    const backend = later(await startBackend(POISON));
    const gateway = await gatewayTo(backend);
    const { output } = gateway.program;
    await send(gateway, POISON);
    await until('the refusal', ARRIVES_WITHIN_MS, () => backend.refused.length > 0 || undefined, output);
    for (const body of ['second', 'third']) await send(gateway, body);
    const arrived = (body: string) => backend.accepted.some((bytes) => bytes.includes(body)) || undefined;
    for (const body of ['second', 'third']) await until(body, ARRIVES_WITHIN_MS, () => arrived(body), output);
    expect(backend.refused).toHaveLength(1);
    await until('the metric', ARRIVES_WITHIN_MS, async () => (await dropped(gateway)) === 1 || undefined, output);
  });

  it('in the queue of agent.yaml', async () => {
    const backend = later(await startBackend(POISON));
    const agent = later(
      await startShipped(['agent', 'agent-without-kubernetes'], { BACKEND_OTLP_ENDPOINT: backend.url }),
    );
    const { output } = agent.program;
    await send(agent, POISON);
    await until('the refusal', ARRIVES_WITHIN_MS, () => backend.refused.length > 0 || undefined, output);
    await send(agent, 'second');
    await until('second', ARRIVES_WITHIN_MS, () => backend.accepted[0]?.includes('second') || undefined, output);
    await until('the metric', ARRIVES_WITHIN_MS, async () => (await dropped(agent)) === 1 || undefined, output);
  });
});

describe('agent.yaml after an outage of the backend', () => {
  it('sends the records in the order in which they came', async () => {
    const [port = 0] = await freePorts(1);
    const env = { BACKEND_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
    const agent = later(await startShipped(['agent', 'agent-without-kubernetes'], env));
    const names = Array.from({ length: 30 }, (_, i) => `record-${String(i).padStart(2, '0')}`);
    for (const name of names) {
      await send(agent, name);
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_BATCHES_MS));
    }
    const backend = later(await startBackend(null, port));
    const arrived = () =>
      Buffer.concat(backend.accepted)
        .toString('latin1')
        .match(/record-\d\d/g) ?? [];
    await until('all', ARRIVES_WITHIN_MS, () => arrived().length >= names.length || undefined, agent.program.output);
    expect(arrived()).toEqual(names);
  });
});
