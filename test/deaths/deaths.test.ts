// SPDX-License-Identifier: Apache-2.0
// The conformance suite: real programs die on the real kernel, and the file of a real collector must say so. The truth comes from
// the undertaker, which shares nothing with the code under test.
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Collector, startCollector } from '../stack/collector.ts';
import type { LogRecord } from '../stack/otlp-file.ts';
import { UNDERTAKER, until } from '../stack/program.ts';
import { exportTo, startWhodunit, type Whodunit } from '../stack/whodunit.ts';
import { cases } from './cases.ts';
import { compare, isAbout } from './compare.ts';
import { type Death, letHappen } from './truth.ts';

const RECORD_WITHIN_MS = 5_000;
/** How long a second record of the same death, or one of no death, is given to come. */
const NO_RECORD_WITHIN_MS = 1_000;

describe('every death is told as it was', () => {
  let collector: Collector;
  let whodunit: Whodunit;
  const reported: Death[] = [];
  const unreported: Death[] = [];

  beforeAll(async () => {
    collector = await startCollector();
    whodunit = await startWhodunit(exportTo(collector, 'grpc'));
  });

  afterAll(async () => {
    const ends = await whodunit?.stop(); // undefined: it did not even start
    await collector?.stop();
    if (ends !== undefined) expect(ends).toMatchObject({ service: { code: 0 }, loader: { code: 0 }, pinsLeft: false });
  });

  const recordsOf = (truth: Death): LogRecord[] => collector.logs().filter((record) => isAbout(truth, record));

  for (const { name, happens, deaths, skip } of cases) {
    it.skipIf(skip !== undefined)(`${name} (${happens})`, async () => {
      const truths = await letHappen(happens);
      if (deaths.length === 0) unreported.push(...truths);
      else expect(truths).toHaveLength(deaths.length);
      for (const [index, expected] of deaths.entries()) {
        const truth = truths[index] as Death;
        reported.push(truth);
        const record = await until(
          `the record of process ${truth.pid}`,
          RECORD_WITHIN_MS,
          () => recordsOf(truth)[0],
          () => `the truth: ${JSON.stringify(truth)}\n${samePid(collector, truth)}${whodunit.service.output()}`,
        );
        const differences = compare(truth, expected, record);
        expect(differences, `${record.body}\nevidence: ${record.attributes['whodunit.evidence']}`).toEqual([]);
      }
    });
  }

  it('each of these deaths has exactly one record, and an exit with code 0 none', async () => {
    await new Promise((resolve) => setTimeout(resolve, NO_RECORD_WITHIN_MS));
    expect(reported.length).toBeGreaterThan(0);
    expect(reported.filter((truth) => recordsOf(truth).length !== 1)).toEqual([]);
    expect(unreported.filter((truth) => recordsOf(truth).length !== 0)).toEqual([]);
  });

  it('every record has a uid of its own', () => {
    const uids = collector.logs().map((record) => record.attributes['log.record.uid']);
    expect(new Set(uids).size).toBe(uids.length);
  });

  it('the table knows every case of the undertaker', () => {
    const names = spawnSync(UNDERTAKER, ['list'], { encoding: 'utf8' }).stdout.trim().split('\n');
    expect(cases.map(({ happens }) => happens).sort()).toEqual(names.sort());
  });
});

/** A record with the right pid and the wrong start is worth a hint. */
function samePid(collector: Collector, truth: Death): string {
  const others = collector.logs().filter((record) => record.resource['process.pid'] === truth.pid);
  return others.map((record) => `same pid, other start: ${JSON.stringify(record.resource)}\n`).join('');
}
