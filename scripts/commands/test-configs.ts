// SPDX-License-Identifier: Apache-2.0
// `npm run test:configs`: only the tests of otel-config/.
import { command, Failure, readFlags } from '../base/command.ts';
import { isRoot } from '../base/privileges.ts';
import { build, buildMortal } from '../build/programs.ts';
import { prepareConfigs, testConfigs } from '../suites/configs.ts';
import { report } from '../suites/counts.ts';

const HELP = `npm run test:configs

Tests otel-config/ with real programs. A collector validates every configuration. A real termination passes through collector,
sidecar, agent and gateway (the gateway with Kafka). Prometheus runs every PromQL query, Loki every LogQL query, and
Grafana's schema checks every dashboard.

  --help   show this text

Needs root and BPF; Debian's prometheus, default-jdk-headless and maven; and, the first time, the Go module proxy and Maven Central.`;

await command(async () => {
  if (readFlags({ help: { type: 'boolean', short: 'h' } }).help) {
    console.log(HELP);
    return 0;
  }
  if (!isRoot()) throw new Failure('The loader needs root: sudo npm run test:configs');
  await build();
  await buildMortal();
  return report(await testConfigs(await prepareConfigs()));
});
