// SPDX-License-Identifier: Apache-2.0
// Rules tried on what was: the facts of a record are those that the service matched, and what changes is said with its rule.
import { describe, expect, it } from 'vitest';
import { goldenDeath } from '../../../scripts/stack/fake-loader.ts';
import { rulesOf } from '../../../src/core/filter/built-in.ts';
import { parseRules } from '../../../src/core/filter/rules.ts';
import { entryOf } from '../../../src/core/history/entry.ts';
import { rehearse, subjectOfEntry } from '../../../src/core/history/rehearsal.ts';
import { rehearsalJson, renderRehearsal } from '../../../src/core/history/rehearsal-text.ts';
import { readRecord } from '../../../src/core/telemetry/stored.ts';
import { NO_EFFECTS } from '../../../src/effects.ts';
import { handleTermination } from '../../../src/pipeline.ts';
import { newState } from '../../../src/state.ts';
import { kept } from '../../support/history.ts';
import { host } from '../../support/host.ts';
import { row } from '../../support/unreported.ts';

const entry = (made: Parameters<typeof kept>[0] = {}) => entryOf(readRecord(kept(made).record), { state: 'none' });

function rules(value: unknown, mode: 'default' | 'all' = 'default') {
  const parsed = parseRules({ rules: value });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  return rulesOf(parsed.rules, mode);
}

describe('the facts of a record', () => {
  it.each([
    'death-exit-3',
    'death-segfault',
    'death-sigkill-by-another',
    'death-oom',
    'death-exit-after-sigterm',
    'death-nothing-known',
  ])('are those that the service matched: %s', (name) => {
    const settings = { arguments: 'redacted', logins: 'on', recordsPerMinute: 10, spans: 'joined' } as const;
    const state = newState(rulesOf([], 'all'), settings);
    const pipeline = {
      settings,
      state,
      host: () => host,
      outOfMemory: null,
      clock: { wallMs: () => 1_795_443_600_000, steadyMs: () => 0, later: () => {} },
      effects: NO_EFFECTS,
    };
    const item = handleTermination(pipeline, goldenDeath(name), 'boot');
    const [latest] = state.latest.members();
    expect(item?.record).not.toBeNull();
    const { subject } = latest ?? {};
    const read = subjectOfEntry(entryOf(readRecord(item?.record ?? new Uint8Array()), { state: 'none' }));
    expect(read).toEqual({ ...subject, arguments: subject?.arguments });
  });
});

describe('rules that are tried', () => {
  it('name the records that would go', () => {
    const found = rehearse(
      [entry({ pid: 1 }), entry({ pid: 2, name: 'web' })],
      [],
      rules([{ name: 'no sleepers', executable: 'sleep', action: 'count' }]),
    );
    expect(found).toMatchObject({ records: 2, gone: [{ pid: 1, rule: 'no sleepers', action: 'count' }], come: [] });
  });

  it('name the filtered ones that would come, and the aggregated ones that would leave their summary', () => {
    const some = [
      { ...row({ pid: 1 }), counted: 40 },
      { ...row({ pid: 2, outcome: 'aggregated', subject: { executable: ['/bin/web', 'web'] } }), counted: 0 },
      { ...row({ pid: 3, outcome: 'aggregated', subject: { cause: 'fault' } }), counted: 0 },
    ];
    const found = rehearse(
      [],
      some,
      rules([
        { name: 'all grep', executable: 'grep', action: 'report' },
        { name: 'no web', executable: 'web', action: 'ignore' },
      ]),
    );
    expect(found).toMatchObject({ unreported: 3, counted: 40, come: [{ pid: 1, counted: 40 }], left: [{ pid: 2 }] });
    expect(renderRehearsal(found).split('\n').slice(2)).toEqual([
      expect.stringMatching(/^come .* grep \(1\) +exit 1 +report +all grep \(was: short-lived .*; 40 more like it\)$/),
      expect.stringMatching(/^left .* web \(2\) +exit 1 +ignore +no web \(was: .*\)$/),
      '',
    ]);
  });

  it('show hostile names as text', () => {
    const subject = { executable: ['/tmp/a\n\u001b[31mgo', 'a\n\u001b[31mgo'] };
    const found = rehearse([], [{ ...row({ subject }), counted: 0 }], rules([], 'all'));
    const text = renderRehearsal(found);
    expect(text).toContain('a\\u000a\\u001b[31mgo (4242)');
    expect(text.split('\n')).toHaveLength(4);
    expect(JSON.parse(JSON.stringify(rehearsalJson(found)))).toMatchObject({ come: [{ subject }] });
  });
});
