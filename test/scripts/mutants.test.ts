// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { compare, describeMutant, type Equivalent, scoreOf } from '../../scripts/suites/mutants/compare.ts';
import { instrument, type Mutant } from '../../scripts/suites/mutants/instrument.ts';
import { mutatedFiles, readEquivalents } from '../../scripts/suites/mutants/mutants.ts';

const and: Mutant = {
  id: '0',
  file: 'a.ts',
  line: 3,
  text: 'return a && b;',
  mutator: 'LogicalOperator',
  before: 'a && b',
  after: 'a || b',
  nth: 1,
};
const yes: Mutant = { ...and, id: '1', mutator: 'ConditionalExpression', after: 'true' };
const listed: Equivalent = {
  file: 'a.ts',
  line: 'return a && b;',
  mutant: 'ConditionalExpression: a && b → true',
  reason: 'a and b are always true',
};

describe('mutants, compared with the list of equivalent ones', () => {
  it('killed, or equivalent', () => {
    const comparison = compare([and, yes], new Set(['0']), [listed]);
    expect(comparison).toEqual({ killed: 1, equivalent: 1, survivors: [], refuted: [], stale: [] });
    expect(scoreOf(comparison)).toBe(100);
  });

  it('one that survives without being listed lowers the score', () => {
    const comparison = compare([and, yes], new Set(['0']), []);
    expect(comparison.survivors).toEqual([yes]);
    expect(scoreOf(comparison)).toBe(50);
  });

  it('an entry for a mutant that a test kills is wrong', () => {
    expect(compare([and, yes], new Set(['0', '1']), [listed])).toMatchObject({ killed: 2, refuted: [listed] });
  });

  it.each([
    ['in another file', { file: 'b.ts' }],
    ['in another line', { line: 'return a && c;' }],
    ['with another change', { mutant: 'ConditionalExpression: a && b → false' }],
  ])('an entry for a mutant %s is stale', (_, changes) => {
    const entry = { ...listed, ...changes };
    expect(compare([and, yes], new Set(['0']), [entry])).toMatchObject({ survivors: [yes], stale: [entry] });
  });
});

it('a mutant is described by its line and by what changes', async () => {
  const { mutants, sources } = await instrument(['src/core/delivery/target.ts']);
  expect(mutants.map(describeMutant)).toContain('StringLiteral: \'//\' → ""');
  expect(mutants.find(({ mutator }) => mutator === 'BlockStatement')).toMatchObject({
    file: 'src/core/delivery/target.ts',
    text: 'export function withoutCredentials(endpoint: string): string {',
    before: "{ return endpoint.replace(/\\/\\/[^/@]*@/, '//'); }",
    after: '{}',
    nth: 1,
  });
  expect(describeMutant({ ...and, nth: 2 })).toBe('LogicalOperator: a && b → a || b (2)');
  expect([...sources.values()].join()).toContain('activeMutant');
});

it('each mutant that is listed as equivalent exists, with a reason', async () => {
  const { mutants } = await instrument(mutatedFiles());
  const entries = readEquivalents();
  expect(compare(mutants, new Set(), entries).stale).toEqual([]);
  for (const { reason } of entries) expect(reason).toMatch(/\.$/);
});
