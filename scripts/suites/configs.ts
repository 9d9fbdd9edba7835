// SPDX-License-Identifier: Apache-2.0
// The tests of otel-config/ (test/configs): a real collector validates every configuration and forwards a real termination, Prometheus
// runs the PromQL queries of dashboards and alerts, Loki the LogQL queries, and Alertmanager the routes of alerts.
import { requirePackages } from '../base/debian.ts';
import { buildBackend } from '../build/backends.ts';
import { buildCollector, CONFIGS_MANIFEST } from '../build/collector.ts';
import { fetchKafka } from '../build/kafka.ts';
import { buildQueries } from '../build/test-programs.ts';
import type { Counts } from './counts.ts';
import { vitest } from './vitest.ts';

/** What a gateway with Kafka and Loki needs. Returns its environment. */
export async function prepareGateway(): Promise<NodeJS.ProcessEnv> {
  return {
    WHODUNIT_TEST_COLLECTOR: await buildCollector(),
    WHODUNIT_TEST_CONFIGS_COLLECTOR: await buildCollector(CONFIGS_MANIFEST),
    WHODUNIT_TEST_KAFKA: await fetchKafka(),
    WHODUNIT_TEST_LOKI: await buildBackend('loki'),
  };
}

/** Builds and downloads what the tests need. Returns their environment. */
export async function prepareConfigs(): Promise<NodeJS.ProcessEnv> {
  await requirePackages(['prometheus'], 'Running the queries of dashboards and alerts');
  return {
    ...(await prepareGateway()),
    WHODUNIT_TEST_QUERIES: await buildQueries(),
    WHODUNIT_TEST_ALERTMANAGER: await buildBackend('alertmanager'),
    WHODUNIT_TEST_PROMETHEUS: await buildBackend('prometheus'),
  };
}

/** Requires that loader, service and the example victims are built. */
export function testConfigs(prepared: NodeJS.ProcessEnv): Promise<Counts> {
  return vitest(['test/configs'], prepared);
}
