// SPDX-License-Identifier: Apache-2.0
// The tests of otel-config/: a real collector validates every configuration and passes a real termination on; a real Prometheus runs
// every query of dashboards and alerts, Loki's own parser reads the others (test/configs).
import { requirePackages } from '../base/debian.ts';
import { buildCollector, CONFIGS_MANIFEST } from '../build/collector.ts';
import { fetchKafka } from '../build/kafka.ts';
import { buildQueries } from '../build/queries.ts';
import type { Counts } from './counts.ts';
import { vitest } from './vitest.ts';

/** Gives the environment of the tests. */
export async function prepareConfigs(): Promise<NodeJS.ProcessEnv> {
  await requirePackages(['prometheus'], 'Running the queries of dashboards and alerts');
  return {
    WHODUNIT_TEST_COLLECTOR: await buildCollector(),
    WHODUNIT_TEST_CONFIGS_COLLECTOR: await buildCollector(CONFIGS_MANIFEST),
    WHODUNIT_TEST_KAFKA: await fetchKafka(),
    WHODUNIT_TEST_QUERIES: await buildQueries(),
  };
}

/** Loader, service and the example victims must be built. */
export function testConfigs(prepared: NodeJS.ProcessEnv): Promise<Counts> {
  return vitest(['test/configs'], prepared);
}
