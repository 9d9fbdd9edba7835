// SPDX-License-Identifier: Apache-2.0
// The completions in real shells, as far as this machine has them, and the man page as groff formats it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { COMMANDS, FLAGS } from '../../src/config/commands.ts';
import { bashCompletion, fishCompletion, zshCompletion } from '../../src/config/completions.ts';
import { HELP } from '../../src/config/help.ts';
import { manPage } from '../../src/config/man.ts';

const directory = mkdtempSync(join(tmpdir(), 'whodunit-shell-'));
afterAll(() => rmSync(directory, { recursive: true }));
const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

describe('bash', () => {
  const file = join(directory, 'whodunit.bash');
  writeFileSync(file, bashCompletion());
  it.each<[string[], string[]]>([
    [['li'], ['list']],
    [['st'], ['stats']],
    [
      ['list', '--si'],
      ['--since', '--signal'],
    ],
    [
      ['list', '--output', ''],
      ['table', 'json', 'jsonl'],
    ],
    [['run', '--output', 'j'], ['json']],
    [['list', '--cause', 'oom'], ['oom_kill']],
    [['show', 'l'], ['last']],
    [['show', '--since'], []],
  ])('whodunit %j', (words, expected) => {
    const line = ['whodunit', ...words].map((word) => `'${word}'`).join(' ');
    const script = `. "$0"; COMP_WORDS=(${line}); COMP_CWORD=${words.length}; _whodunit; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', script, file], { encoding: 'utf8' });
    expect([stderr, stdout.split('\n').filter((word) => word !== '')]).toEqual(['', expected]);
  });
});

describe.each([
  ['bash', bashCompletion()],
  ['zsh', zshCompletion()],
  ['fish', fishCompletion()],
])('the completion of %s', (shell, text) => {
  it('has each command and flag', () => {
    for (const name of [...Object.keys(COMMANDS), ...Object.keys(FLAGS)]) expect(text).toContain(name);
  });

  it.runIf(has(shell))('is accepted by the shell', () => {
    const file = join(directory, shell);
    writeFileSync(file, text);
    expect(spawnSync(shell, ['-n', file], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  });
});

describe('the man page and --help', () => {
  it('have each command and flag', () => {
    const page = manPage('1.2.3').replaceAll('\\-', '-');
    for (const text of [page, HELP]) {
      for (const name of Object.keys(COMMANDS)) expect(text).toContain(name);
      for (const name of Object.keys(FLAGS)) expect(text.replaceAll(/\\f[BRI]/g, '')).toContain(`--${name}`);
    }
  });

  it.runIf(has('groff'))('are formatted without warnings', () => {
    const { stdout, stderr } = spawnSync('groff', ['-man', '-Tutf8', '-ww'], { input: manPage('1'), encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(stdout).toContain('EXIT STATUS');
  });
});
