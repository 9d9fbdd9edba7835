// SPDX-License-Identifier: Apache-2.0
// Cost of a termination in the service as the number of filter rules grows. No rule matches, which is the worst case.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../../scripts/stack/program.ts';
import { LINEAR } from '../bars.ts';
import type { Growth } from '../figures.ts';
import { cpuNs } from '../program.ts';
import { startScriptedService } from '../scripted-service.ts';
import type { Point } from '../statistics.ts';
import type { Run } from './part.ts';

const SIZES = [1, 10, 100, 1_000];
const SIZES_QUICK = [1, 1_000];
const DEATHS = 10_000;
const DEATHS_QUICK = 2_000;

export async function withRules({ quick, progress }: Run): Promise<readonly Growth[]> {
  const sizes = quick ? SIZES_QUICK : SIZES;
  const points: Point[] = [];
  for (const [index, size] of sizes.entries()) {
    progress(index / sizes.length, `${size} rules`);
    points.push({ size, value: await usForDeath(size, quick ? DEATHS_QUICK : DEATHS) });
  }
  const title = "the service's processor time for one termination";
  return [{ id: 'growth.rules.death', title, of: 'rules that do not match', unit: 'µs', points, exponentMax: LINEAR }];
}

async function usForDeath(rules: number, deaths: number): Promise<number> {
  const directory = temporaryDirectory();
  const file = join(directory.path, 'rules.yaml');
  writeFileSync(file, JSON.stringify({ rules: Array.from({ length: rules }, (_, index) => rule(index)) })); // JSON is YAML
  const env = { OTEL_LOGS_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' };
  const { pid, feed, stop } = await startScriptedService(env, ['--config', file]);
  try {
    await feed(deaths, () => 'checkout'); // compiles the code
    const before = cpuNs(pid);
    await feed(deaths, () => 'checkout');
    return (cpuNs(pid) - before) / deaths / 1_000;
  } finally {
    await stop();
    directory.remove();
  }
}

/** A typical rule: a glob, a name and a range. */
function rule(index: number) {
  return {
    name: `rule ${index}`,
    executable: [`/opt/application-${index}/*/bin/*`, `tool-${index}`],
    exit_code: '1-125',
    action: 'count',
  };
}
