// SPDX-License-Identifier: Apache-2.0
// Normal exits are counted in the kernel: 100,000 of them cause no record, and the count is exact.
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { forked } from '../../scripts/stack/forked.ts';
import { startProgram, UNDERTAKER, until } from '../../scripts/stack/program.ts';
import { exportTo, loaderStatus, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';

const EXITS = 100_000;
const METRIC_WITHIN_MS = 60_000;

describe('normal exits', () => {
  let collector: Collector;
  let whodunit: Whodunit;
  let alreadyAlive: number;
  let forkedBefore: number;

  beforeAll(async () => {
    alreadyAlive = alive();
    forkedBefore = forked();
    collector = await startCollector();
    whodunit = await startWhodunit(exportTo(collector, 'http/protobuf'));
  });

  afterAll(async () => {
    await whodunit?.stop();
    await collector?.stop();
  });

  const exitsMetric = (): number | undefined =>
    collector
      .metrics()
      .findLast(
        ({ name, attributes }) => name === 'whodunit.process.exits' && attributes['whodunit.outcome'] === 'normal',
      )?.value;
  /** An upper bound of the exits: the processes that existed before, and all processes and threads forked since. */
  const most = (): number => alreadyAlive + forked() - forkedBefore;

  it(`${EXITS} of them are counted, in the kernel and in the metric, and none has a record`, async () => {
    const first = await until(
      'the first point of whodunit.process.exits',
      METRIC_WITHIN_MS,
      exitsMetric,
      whodunit.service.output,
    );
    const before = await loaderStatus(whodunit.at.socket);

    const undertaker = startProgram(UNDERTAKER, ['forks', String(EXITS)]);
    expect(await undertaker.ended, undertaker.output()).toEqual({ code: 0, signal: null });
    expect(JSON.parse(undertaker.stdout())).toEqual({ exited_with_0: EXITS });

    const after = await loaderStatus(whodunit.at.socket);
    const counted = Number(after.exits_normal) - Number(before.exits_normal);
    expect(counted).toBeGreaterThanOrEqual(EXITS);
    expect(counted).toBeLessThanOrEqual(most());

    const exported = await until(
      `${EXITS} more of whodunit.process.exits`,
      METRIC_WITHIN_MS,
      () => {
        const growth = (exitsMetric() ?? 0) - first;
        return growth >= EXITS ? growth : undefined;
      },
      () => `first ${first}, last ${exitsMetric()}, the loader counted ${counted}`,
    );
    expect(exported).toBeLessThanOrEqual(most());
    expect(collector.logs().filter(({ resource }) => resource['process.executable.path'] === UNDERTAKER)).toEqual([]);
  });
});

function alive(): number {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).length;
}
