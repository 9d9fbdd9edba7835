// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { Displaced } from '../../../src/core/shares.ts';
import { LIMIT_VALUES } from '../../../src/core/telemetry/semconv.ts';
import { type Exceeded, exceeded, exceededSentence, exceededStatus } from '../../../src/core/words/shares.ts';

const USERS = new Map([[65_534, 'nobody']]);

function displaced(...counts: readonly (readonly [string, number])[]): Displaced {
  const all = new Displaced();
  for (const [origin, count] of counts) all.add(origin, count);
  return all;
}

it('who lost most is named by user and unit, in one sentence', () => {
  const [queue] = exceeded({ queue_bytes: displaced(['65534 /system.slice/cron.service', 3988]) }, USERS) as [Exceeded];
  expect(exceededStatus(queue)).toEqual({
    limit: 'queue_bytes',
    count: 3988,
    sentence:
      'nobody in cron.service held most of the full disk queue (WHODUNIT_QUEUE_BYTES): 3988 of the oldest records were dropped.',
    origins: [{ origin: 'nobody in cron.service', count: 3988 }],
  });
});

it('several are ordered by what they lost, and those of the same name are one', () => {
  const counts = displaced(['1 /a', 1], ['2 /b', 5], ['3 #7', 2], ['1 /user.slice/a', 1]);
  const [spans] = exceeded({ spans: counts }, USERS) as [Exceeded];
  expect(spans).toEqual({
    limit: 'spans',
    count: 9,
    losses: [
      { origin: 'uid 2 in b', count: 5 },
      { origin: 'uid 1 in a', count: 2 },
      { origin: 'uid 3 in cgroup 7', count: 2 },
    ],
  });
  expect(exceededSentence(spans)).toMatch(/^uid 2 in b \(and 2 more\) had most of the spans that wait: 9 spans/);
});

it('nothing is said where nothing was lost', () => {
  expect(exceeded({ queue_bytes: undefined, spans: new Displaced() }, USERS)).toEqual([]);
});

it('further origins have a name, too', () => {
  expect(exceeded({ spans: displaced(['', 1]) }, USERS)[0]?.losses).toEqual([{ origin: 'other origins', count: 1 }]);
});

it.each(LIMIT_VALUES)('there is a sentence for %s', (limit) => {
  const text = exceededSentence({ limit, count: 7, losses: [{ origin: 'alice', count: 7 }] });
  expect(text).toMatch(/^alice h[\w ()]+.*: .*\b7\b.*\.$/);
});
