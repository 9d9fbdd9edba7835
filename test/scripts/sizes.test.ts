// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { tooLong } from '../../scripts/checks/sizes.ts';

const body = (lines: number): string => '\tx++\n'.repeat(lines);

describe('the limit of a function', () => {
  it.each([
    ['Go', 'func run(ctx context.Context) error {\n', 'run'],
    ['a method in Go', 'func (r *ring) read(b []byte) int {\n', 'read'],
    ['C', 'static int read_title(struct task_struct *task,\n\t\tint size)\n{\n', 'read_title'],
  ])('is 60 lines in %s', (_, declaration, name) => {
    expect(tooLong('x', `${declaration}${body(60)}}\n`)).toEqual([]);
    expect(tooLong('x', `${declaration}${body(61)}}\n`)).toEqual([expect.stringContaining(`61 lines in ${name}`)]);
  });

  it.each(['struct event {\n', 'var table = map[string]int{\n', 'static const struct row rows[] = {\n'])(
    'does not apply to data: %s',
    (declaration) => {
      expect(tooLong('x', `${declaration}${body(70)}};\n`)).toEqual([]);
    },
  );
});

it('the limit of a file is 300 lines', () => {
  expect(tooLong('x', 'a\n'.repeat(300))).toEqual([]);
  expect(tooLong('x', 'a\n'.repeat(301))).toEqual(['x: 301 lines']);
});
