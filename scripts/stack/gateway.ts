// SPDX-License-Identifier: Apache-2.0
// The gateway of a fleet with all that is around it: Kafka, the gateway, the collector behind it, and a backend that accepts everything.
import { type Collector, startCollector } from './collector.ts';
import { type Kafka, startKafka } from './kafka.ts';
import { freePorts } from './program.ts';
import { type Shipped, startShipped } from './shipped.ts';

export interface GatewayStack {
  readonly kafka: Kafka;
  /** With gateway.yaml. Listens on `port` for gRPC, at all addresses of the machine. */
  readonly gateway: Shipped;
  readonly port: number;
  /** With collector.yaml. */
  readonly behind: Shipped;
  readonly backend: Collector;
  readonly stop: () => Promise<void>;
}

export async function startGatewayStack(): Promise<GatewayStack> {
  const started: { stop: () => Promise<unknown> }[] = [];
  const later = <T extends { stop: () => Promise<unknown> }>(one: T): T => {
    started.push(one);
    return one;
  };
  const stop = async () => {
    for (const one of started.toReversed()) await one.stop();
  };
  try {
    const kafka = later(await startKafka());
    const backend = later(await startCollector());
    const behind = later(await startShipped(['collector'], { BACKEND_OTLP_ENDPOINT: backend.http }));
    const [port = 0] = await freePorts(1);
    const gateway = later(
      await startShipped(['gateway'], {
        OTLP_GRPC_LISTEN: `0.0.0.0:${port}`,
        KAFKA_BROKERS: kafka.address,
        BACKEND_COLLECTORS: '127.0.0.1',
        BACKEND_COLLECTORS_HTTP: behind.http,
        BACKEND_COLLECTORS_PORT: new URL(behind.grpc).port,
      }),
    );
    return { kafka, gateway, port, behind, backend, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
