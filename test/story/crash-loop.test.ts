// SPDX-License-Identifier: Apache-2.0
// A thousand crashes of one service within a minute, with a real collector: ten records, one summary, and a counter of one thousand.
import { expect, it } from 'vitest';
import { isTermination } from '../../scripts/stack/otlp-file.ts';
import { MORTAL, startProgram, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';

const CRASHES = 1000;
const CRASHED_WITHIN_MS = 60_000;
const COUNTED_WITHIN_MS = 60_000;
const SUMMARY_WITHIN_MS = 75_000;
const SERVICE = `crash-loop-${process.pid}`;

const both = watched({ WHODUNIT_REPORT: 'default' });

it('1,000 aborts of one service in a minute are ten records and a summary', async () => {
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
  const summary = await until('the summary', SUMMARY_WITHIN_MS, () =>
    records().find(({ eventName }) => eventName?.endsWith('.summary')),
  );
  // Only terminations: some of the records are restarts.
  const reported = records().filter(isTermination).length;
  expect(summary.attributes).toMatchObject({
    'whodunit.aggregated.count': CRASHES - reported,
    'whodunit.aggregated.by_cause.abort': CRASHES - reported,
  });
  expect(records()).toHaveLength(11);
});
