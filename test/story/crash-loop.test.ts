// SPDX-License-Identifier: Apache-2.0
// A thousand crashes of one service within a minute, with a real collector: at most ten records, of which two are the loop, and a counter of one thousand.
import { expect, it } from 'vitest';
import { isTermination } from '../../scripts/stack/otlp-file.ts';
import { MORTAL, startProgram, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';

const CRASHES = 1000;
const CRASHED_WITHIN_MS = 60_000;
const COUNTED_WITHIN_MS = 60_000;
const LOOP_WITHIN_MS = 75_000;
const SERVICE = `crash-loop-${process.pid}`;

const both = watched({ WHODUNIT_REPORT: 'default' });

it('1,000 aborts of one service in a minute are a loop, which counts them exactly', async () => {
  const begin = performance.now();
  const script = 'i=0; while [ $i -lt $1 ]; do "$0" raise SIGABRT; i=$((i+1)); done 2>/dev/null';
  const env = { ...process.env, OTEL_SERVICE_NAME: SERVICE };
  const shell = startProgram('sh', ['-c', script, MORTAL, String(CRASHES)], { env });
  await shell.ended;
  expect(performance.now() - begin).toBeLessThan(CRASHED_WITHIN_MS);

  const ours = ({ resource }: { readonly resource: object }) =>
    (resource as Record<string, unknown>)['service.name'] === SERVICE;
  const counted = (): number =>
    Math.max(
      0,
      ...both.collector
        .metrics()
        .filter(
          (point) =>
            point.name === 'whodunit.process.terminations' &&
            ours(point) &&
            point.attributes['whodunit.cause'] === 'abort',
        )
        .map(({ value }) => value),
    );
  await until(
    'a counter of 1,000',
    COUNTED_WITHIN_MS,
    () => counted() === CRASHES || undefined,
    () => String(counted()),
  );

  const records = () => both.collector.logs().filter(ours);
  const loops = () => records().filter(({ eventName }) => eventName === 'whodunit.process.loop');
  await until('the end of the loop', LOOP_WITHIN_MS, () =>
    loops().find(({ attributes }) => attributes['whodunit.loop.state'] === 'ended'),
  );
  // Each termination has a record of its own, or is in one of the loop's.
  const aggregated = records().reduce(
    (sum, { attributes }) => sum + Number(attributes['whodunit.aggregated.count'] ?? 0),
    0,
  );
  expect(records().filter(isTermination).length + aggregated).toBe(CRASHES);
  expect(loops().map(({ attributes }) => attributes['whodunit.loop.state'])).toEqual(['began', 'ended']);
  expect(loops()[1]?.attributes['whodunit.loop.count']).toBe(CRASHES);
  expect(records().length).toBeLessThanOrEqual(10);
});
