// SPDX-License-Identifier: Apache-2.0
// User rules: what each condition matches, and the errors for invalid files.
import { describe, expect, it } from 'vitest';
import { rulesOf } from '../../../src/core/filter/built-in.ts';
import { firstMatch } from '../../../src/core/filter/match.ts';
import { parseRules, RULES_MAX, type RuleText, type Subject } from '../../../src/core/filter/rules.ts';

const subject: Subject = {
  executable: ['/usr/bin/python3.11', 'python3.11'],
  cgroup: '/system.slice/backup.service',
  container: null,
  unit: 'backup.service',
  service: 'backup',
  user: 'root',
  arguments: 'python3 /opt/backup.py --full --token=[REDACTED]',
  exitCode: 3,
  signo: 0,
  cause: 'exit',
  uptimeSeconds: 12.5,
};
const killed: Subject = { ...subject, exitCode: null, signo: 15, cause: 'killed' };

/** The name of the first rule that matches, of these and the built-in ones. */
function matching(texts: readonly RuleText[], of = subject): string {
  const parsed = parseRules({ rules: texts });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  return firstMatch(of, rulesOf(parsed.rules, 'default')).name;
}

describe('a condition', () => {
  it.each<[Omit<RuleText, 'name' | 'action'>, boolean, Subject?]>([
    [{}, true],
    [{ executable: '/usr/bin/python3*' }, true],
    [{ executable: 'python3.11' }, true],
    [{ executable: ['node', 'python*'] }, true],
    [{ executable: 'python' }, false],
    [{ cgroup: '/system.slice/*' }, true],
    [{ container: '*' }, false],
    [{ unit: 'backup.*' }, true],
    [{ service: 'back?p' }, true],
    [{ user: 'root' }, true],
    [{ arguments: '* --full *' }, true],
    [{ arguments: '*hunter2*' }, false],
    [{ exit_code: 3 }, true],
    [{ exit_code: '1-5' }, true],
    [{ exit_code: [1, '4-5'] }, false],
    [{ exit_code: 3 }, false, killed],
    [{ signal: 'SIGTERM' }, true, killed],
    [{ signal: ['kill', 15] }, true, killed],
    [{ signal: 'SIGTERM' }, false],
    [{ cause: 'exit' }, true],
    [{ cause: ['killed', 'fault'] }, true, killed],
    [{ uptime_above: 12.5 }, false],
    [{ uptime_above: 12 }, true],
    [{ uptime_below: 13 }, true],
    [{ uptime_below: 12.5 }, false],
    [{ unit: 'backup.service', exit_code: 4 }, false],
  ])('%j: %s', (conditions, expected, of = subject) => {
    expect(matching([{ name: 'mine', action: 'ignore', ...conditions }], of) === 'mine').toBe(expected);
  });

  it('does not hold if the fact is not known', () => {
    const unknown: Subject = { ...subject, cgroup: null, unit: null, user: null, arguments: null, executable: [] };
    for (const key of ['cgroup', 'unit', 'user', 'arguments', 'executable'])
      expect(matching([{ name: 'mine', action: 'ignore', [key]: '*' }], unknown)).not.toBe('mine');
  });
});

it('the first rule that matches decides, those of the user before the built-in ones', () => {
  const first: RuleText = { name: 'first', action: 'count', exit_code: 3 };
  expect(matching([first, { name: 'second', action: 'ignore' }])).toBe('first');
  expect(matching([{ name: 'other', action: 'count', exit_code: 4 }])).toBe('ran for more than 10 s');
});

describe('an invalid file is rejected with key, value and what is allowed', () => {
  it.each<[string, unknown, string, string, string]>([
    ['an unknown key of the file', { rule: [] }, 'rule', '[]', 'the key rules'],
    ['not a list', { rules: 'all' }, 'rules', 'all', 'a list of at most 1000 rules'],
    ['not an object', [1], 'the file', '[1]', 'the key rules'],
    ['no name', { rules: [{ action: 'count' }] }, 'rules[0].name', 'missing', 'a name of 1 to 200 characters'],
    [
      'an unknown action',
      { rules: [{ name: 'a', action: 'drop' }] },
      'rules[0].action',
      'drop',
      'report, count, ignore',
    ],
    [
      'an unknown key',
      { rules: [{ name: 'a', action: 'count', exe: 'x' }] },
      'rules[0].exe',
      'x',
      'a rule with name, action, executable',
    ],
    [
      'a code beyond 255',
      { rules: [{ name: 'a', action: 'count', exit_code: 256 }] },
      'rules[0].exit_code',
      '256',
      '0 to 255',
    ],
    [
      'a reversed range',
      { rules: [{ name: 'a', action: 'count', exit_code: '5-1' }] },
      'rules[0].exit_code',
      '5-1',
      'a range',
    ],
    [
      'not a signal',
      { rules: [{ name: 'a', action: 'count', signal: 'SIGNOT' }] },
      'rules[0].signal',
      'SIGNOT',
      'SIGTERM',
    ],
    [
      'not a cause',
      { rules: [{ name: 'a', action: 'count', cause: 'bad' }] },
      'rules[0].cause',
      'bad',
      'exit, graceful_stop',
    ],
    ['not a glob', { rules: [{ name: 'a', action: 'count', unit: 7 }] }, 'rules[0].unit', '7', 'a glob'],
    ['an empty list', { rules: [{ name: 'a', action: 'count', unit: [] }] }, 'rules[0].unit', '[]', 'a glob'],
    [
      'a negative time',
      { rules: [{ name: 'a', action: 'count', uptime_above: -1 }] },
      'rules[0].uptime_above',
      '-1',
      'seconds',
    ],
    [
      'the second rule',
      {
        rules: [
          { name: 'a', action: 'count' },
          { name: '', action: 'count' },
        ],
      },
      'rules[1].name',
      '',
      'a name',
    ],
  ])('%s', (_, value, key, shown, allowed) => {
    const parsed = parseRules(value);
    if (parsed.ok) throw new Error('it was accepted');
    expect(parsed.error).toMatchObject({ key, value: shown, allowed: expect.stringContaining(allowed) });
  });

  it('too many rules', () => {
    const rules = Array.from({ length: RULES_MAX + 1 }, () => ({ name: 'a', action: 'count' }));
    expect(parseRules({ rules })).toMatchObject({ ok: false, error: { key: 'rules' } });
  });
});

it('an empty file has no rules', () => {
  expect([parseRules(null), parseRules({})]).toEqual([
    { ok: true, rules: [] },
    { ok: true, rules: [] },
  ]);
});
