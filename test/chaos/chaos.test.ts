// SPDX-License-Identifier: Apache-2.0
// Runs the scenarios that are asked for and writes their table. What is asked for comes from scripts/suites/chaos.ts, in WHODUNIT_CHAOS.
import { writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Result, type Scale, type Scenario, WERE_LOST } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';
import { type Row, table } from './table.ts';

interface Asked extends Scale {
  readonly keys: readonly string[];
  /** Where the table goes. */
  readonly table: string;
  /** The directory of the results, a file for each scenario. */
  readonly results: string;
}

/** How often a scenario may happen until those who die in it are more than the others who die on this machine. */
const ATTEMPTS_MAX = 3;

const asked = JSON.parse(process.env.WHODUNIT_CHAOS ?? '{}') as Asked;
const chosen = asked.keys.map((key) => [key, SCENARIOS.find((scenario) => scenario.key === key)] as const);
const rows = new Map<string, Row>();

afterAll(() => writeFileSync(asked.table, table(asked.keys.flatMap((key) => rows.get(key) ?? []))));

describe('nothing is lost', () => {
  for (const [key, scenario] of chosen) {
    if (scenario === undefined) throw new Error(`there is no scenario ${key}`);
    const test = scenario.apart ? it.concurrent : it;
    test(`${key}. ${scenario.name}`, { timeout: ATTEMPTS_MAX * scenario.withinMs(asked) }, async () => {
      const result = await happen(scenario);
      const row = { scenario: { key, name: scenario.name }, result };
      rows.set(key, row);
      writeFileSync(join(asked.results, `${key}.json`), JSON.stringify(row));
      // At once, and past vitest, which reports a file when all of it is over.
      writeSync(process.stderr.fd, `${summary(scenario, result)}\n`);
      expect(result.deaths, 'no process terminated').toBeGreaterThan(0);
      expect(result.problems, summary(scenario, result)).toEqual([]);
    });
  }
});

/**
 * The probes see the whole machine, and the ring is for all its terminations. Where a storm of other processes fills it and nothing else
 * is wrong, the attempt shows nothing: it is reported and repeated. With few others a loss is a failure, at once.
 */
async function happen(scenario: Scenario): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    const result = await scenario.run(asked);
    const { others, deaths, problems } = result;
    const onlyLost = problems.length > 0 && problems.every((problem) => problem.endsWith(WERE_LOST));
    if (!onlyLost || others <= deaths || attempt === ATTEMPTS_MAX) return result;
    writeSync(process.stderr.fd, `${summary(scenario, result)}\n${others} others died meanwhile: again\n`);
  }
}

function summary({ key }: Scenario, { problems, examples, ...figures }: Result): string {
  const verdict = problems.length === 0 ? ['adds up'] : [problems.join('; '), ...examples];
  return `${key}: ${JSON.stringify(figures)} ${verdict.join('\n  ')}`;
}
