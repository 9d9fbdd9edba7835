// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { currentNames } from '../../src/config/earlier-names.ts';

const works = (earlier: string, current: string) => `${earlier} is now ${current}; the earlier name still works.`;

it.each([
  [['run', '--config', '/a'], ['run', '--rules', '/a'], [works('--config', '--rules')]],
  [['--config=/a=b'], ['--rules=/a=b'], [works('--config', '--rules')]],
  [['rules'], ['filters'], [works('whodunit rules', 'whodunit filters')]],
  [
    ['rules', '--dry-run', '--config', '/a'],
    ['filters', 'test', '--rules', '/a'],
    [works('whodunit rules --dry-run', 'whodunit filters test'), works('--config', '--rules')],
  ],
  [['list', '--service', 'config'], ['list', '--service', 'config'], []],
  [['purge', '--dry-run'], ['purge', '--dry-run'], []],
])('%j is %j', (given, argv, hints) => {
  expect(currentNames(given)).toEqual({ argv, hints });
});
