// SPDX-License-Identifier: Apache-2.0
// The tables, the generated page and the command agree; and which table applies to a record.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { signalName } from '../../../src/core/verdict/signals.ts';
import { EXIT_CODES } from '../../../src/core/words/exit-codes.ts';
import { exitMeaning, explain } from '../../../src/core/words/explain.ts';
import { SIGNAL_MEANINGS } from '../../../src/core/words/signal-meanings.ts';
import { renderMeanings } from '../../../src/io/explain.ts';

const page = readFileSync(new URL('../../../docs/exit-codes.md', import.meta.url), 'utf8');
const entries = EXIT_CODES.flatMap((table) =>
  Object.entries(table.codes).map(([code, text]) => [table.title, Number(code), text, table] as const),
);

describe('every exit code of the tables', () => {
  it.each(entries)(
    '%s %i is in the page, in the output of the command, and in a record of such a program',
    (_, code, text, table) => {
      expect(page).toContain(`| ${code} | ${text} |`);
      const asked = [null, ...table.executables.map(nameOf), ...(table.aliases ?? [])];
      for (const executable of asked) expect(renderMeanings({ what: String(code), executable })).toContain(`${text}\n`);
      for (const name of table.executables.map(nameOf)) expect(exitMeaning(code, name)).toBe(text);
    },
  );

  it('has a source, a number from 1 to 255, and a clause that fits into a sentence', () => {
    for (const [, code, text, { source }] of entries) {
      expect([code > 0 && code < 256, /\S/.test(source), /^[^A-Z].*[^.]$|^(?:Node|InnoDB).*[^.]$/.test(text)]).toEqual([
        true,
        true,
        true,
      ]);
    }
  });
});

describe('every signal of the tables', () => {
  it.each(Object.entries(SIGNAL_MEANINGS))('%s is in the page and in the output of the command', (number, text) => {
    const name = signalName(Number(number));
    expect(page).toContain(`| ${name} (${number}) | ${text} |`);
    for (const what of [number, name, name.toLowerCase(), name.slice('SIG'.length)])
      expect(renderMeanings({ what, executable: null })).toContain(text);
  });
});

it('the committed page is current', () => {
  const script = new URL('../../../scripts/generate/exit-codes.ts', import.meta.url).pathname;
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
});

describe('the meaning in a record', () => {
  it.each([
    [1, 'python3.11', 'an uncaught exception, or sys.exit with a message or 1'],
    [1, 'my-own-program', null],
    [42, 'node', null],
    [137, 'node', '128 + 9: by convention, SIGKILL terminated it or a child of it'],
    [134, 'java', '128 + 6: the virtual machine aborted; see hs_err_pid<pid>.log'],
    [78, 'my-own-program', 'by the convention of sysexits.h, the configuration is wrong (EX_CONFIG)'],
    [78, 'curl', 'the resource does not exist'],
    [193, 'my-own-program', null],
    [0, 'node', null],
  ])('of %i for %s is %j', (code, executable, meaning) => {
    expect(exitMeaning(code, executable)).toBe(meaning);
  });
});

describe('explain', () => {
  it.each([
    ['137', null, ['Convention: 128 + signal', 'SIGKILL (signal 9)', 'Programs that start others', '.NET host']],
    ['SIGRTMIN+2', null, ['SIGRTMIN+2 (signal 36)']],
    ['SIGRTMIN+31', null, null],
    ['7', 'node', ['Node.js']],
    ['137', 'node', ['Convention: 128 + signal', 'SIGKILL (signal 9)']],
    ['42', null, []],
    ['256', null, null],
    ['nonsense', null, null],
    ['-1', null, null],
  ])('%s of %s', (what, executable, who) => {
    expect(explain(what, executable)?.map((meaning) => meaning.who) ?? null).toEqual(who);
  });
});

/** An executable name that matches the glob. */
function nameOf(glob: string): string {
  return glob.replaceAll('*', 'x');
}
