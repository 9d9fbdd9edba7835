// SPDX-License-Identifier: Apache-2.0
// Runs the requested scenarios and writes their table. scripts/suites/chaos.ts passes the request in WHODUNIT_CHAOS.
import { writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Result, type Scale, type Scenario, WERE_LOST } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';
import { type Row, table } from './table.ts';

interface Asked extends Scale {
  readonly keys: readonly string[];
  /** The file of the table. */
  readonly table: string;
  /** The directory of the results, one file for each scenario. */
  readonly results: string;
}

/** How often a scenario is attempted while other processes on this machine terminate more often than those of the test. */
const ATTEMPTS_MAX = 3;

const asked = JSON.parse(process.env.WHODUNIT_CHAOS ?? '{}') as Asked;
const chosen = asked.keys.map((key) => [key, SCENARIOS.find((scenario) => scenario.key === key)] as const);
const rows = new Map<string, Row>();

afterAll(() => writeFileSync(asked.table, table(asked.keys.flatMap((key) => rows.get(key) ?? []))));

describe('nothing is lost', () => {
  for (const [key, scenario] of chosen) {
    if (scenario === undefined) throw new Error(`unknown scenario ${key}`);
    const test = scenario.apart ? it.concurrent : it;
    test(`${key}. ${scenario.name}`, { timeout: ATTEMPTS_MAX * scenario.withinMs(asked) }, async () => {
      const result = await attempt(scenario);
      const row = { scenario: { key, name: scenario.name }, result };
      rows.set(key, row);
      writeFileSync(join(asked.results, `${key}.json`), JSON.stringify(row));
      // Directly to stderr: vitest reports only when the whole file has finished.
      writeSync(process.stderr.fd, `${summary(scenario, result)}\n`);
      expect(result.deaths, 'no process terminated').toBeGreaterThan(0);
      expect(result.problems, summary(scenario, result)).toEqual([]);
    });
  }
});

/**
 * The probes see the whole machine. If a storm of other processes fills the ring and nothing else is wrong, the attempt proves nothing: it is
 * reported and repeated. If there were few other terminations, a loss is a failure at once.
 */
async function attempt(scenario: Scenario): Promise<Result> {
  for (let count = 1; ; count += 1) {
    const result = await scenario.run(asked);
    const { others, deaths, problems } = result;
    const onlyLost = problems.length > 0 && problems.every((problem) => problem.endsWith(WERE_LOST));
    if (!onlyLost || others <= deaths || count === ATTEMPTS_MAX) return result;
    writeSync(
      process.stderr.fd,
      `${summary(scenario, result)}\n${others} other terminations on this machine meanwhile: repeating\n`,
    );
  }
}

function summary({ key }: Scenario, { problems, examples, ...figures }: Result): string {
  const verdict = problems.length === 0 ? ['adds up'] : [problems.join('; '), ...examples];
  return `${key}: ${JSON.stringify(figures)} ${verdict.join('\n  ')}`;
}
