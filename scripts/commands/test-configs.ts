// SPDX-License-Identifier: Apache-2.0
// `npm run test:configs`: the tests of otel-config/ by themselves.
import { command, Failure, readFlags } from '../base/command.ts';
import { isRoot } from '../base/privileges.ts';
import { build, buildMortal } from '../build/programs.ts';
import { prepareConfigs, testConfigs } from '../suites/configs.ts';
import { report } from '../suites/counts.ts';

const HELP = `npm run test:configs

Tests what otel-config/ ships with real programs: a real collector validates every configuration, and a real termination
passes through collector, sidecar, agent and gateway (the last by a real Kafka); a real Prometheus runs every PromQL query,
Loki's own parser reads every LogQL query, Grafana's own schema every dashboard.

  --help   this text

Needs root and BPF, Debian's prometheus, default-jdk-headless and maven, and once the module proxy and Maven Central.`;

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
