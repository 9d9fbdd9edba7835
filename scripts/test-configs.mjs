// `npm run test:configs`: every configuration in otel-config/ is validated by a real collector and lets a real death through; every query
// of dashboards and alerts is run against a real Prometheus, or parsed by Loki's own parser. Builds what it needs, once.
//
// SPDX-License-Identifier: Apache-2.0

import { fileURLToPath } from 'node:url';
import { CONFIGS_MANIFEST, collector } from './build-collector.mjs';
import { kafka } from './kafka.mjs';
import { requirePackages } from './packages.mjs';
import { isRoot } from './privileges.mjs';
import { queries } from './queries.mjs';
import { buildMortal, command, Failure, installAndBuild, readFlags } from './steps.mjs';
import { vitest } from './vitest.mjs';

const USAGE = `npm run test:configs: holds what otel-config/ ships to real programs

  a real collector validates every configuration, and a real death goes through collector, sidecar, agent and gateway
  (the last by a real Kafka); a real Prometheus runs every PromQL, Loki's own parser reads every LogQL, Grafana's own
  schema every dashboard

  --help   this text

Needs root and BPF, Debian's prometheus, default-jdk-headless and maven, and once the module proxy and Maven Central.`;

/** Counts what the tests report. What they need must be built: the loader, the service, the programs that die. */
export async function testConfigs() {
  await requirePackages(['prometheus'], 'Running the queries of dashboards and alerts');
  return vitest(['test/configs'], {
    WHODUNIT_TEST_COLLECTOR: await collector(),
    WHODUNIT_TEST_CONFIGS_COLLECTOR: await collector(CONFIGS_MANIFEST),
    WHODUNIT_TEST_KAFKA: await kafka(),
    WHODUNIT_TEST_QUERIES: await queries(),
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await command(async () => {
    if (readFlags({ help: { type: 'boolean', short: 'h' } }).help) {
      console.log(USAGE);
      return 0;
    }
    if (!isRoot()) throw new Failure('The loader needs root: sudo npm run test:configs');
    await installAndBuild();
    await buildMortal();
    const { passed, failed, skipped } = await testConfigs();
    console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
    return failed === 0 ? 0 : 1;
  });
}
