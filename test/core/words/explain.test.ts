// SPDX-License-Identifier: Apache-2.0
// The tables, the generated page and the command agree; and which table applies to a record.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CAUSE_VALUES } from '../../../src/core/telemetry/semconv.ts';
import { signalName } from '../../../src/core/verdict/signals.ts';
import { EXIT_CODES } from '../../../src/core/words/exit-codes.ts';
import { exitMeaning, explain } from '../../../src/core/words/explain.ts';
import { SIGNAL_MEANINGS, signalMeaningOf } from '../../../src/core/words/signal-meanings.ts';
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
      for (const name of table.executables.map(nameOf)) expect(meaningOf(code, name)).toBe(text);
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
    [124, 'xargs', 'a command exited with 255'],
    [124, 'timeout', 'the time limit was reached'],
    [255, 'php8.2', 'a fatal error: an uncaught exception, the memory limit or a syntax error'],
    [42, 'node', null],
    [137, 'node', '128 + 9: by convention, SIGKILL terminated it or a child of it'],
    [134, 'java', '128 + 6: the virtual machine aborted; see hs_err_pid<pid>.log'],
    [78, 'my-own-program', 'by the convention of sysexits.h, the configuration is wrong (EX_CONFIG)'],
    [78, 'curl', 'the resource does not exist'],
    [193, 'my-own-program', null],
    [0, 'node', null],
  ])('of %i for %s is %j', (code, executable, meaning) => {
    expect(meaningOf(code, executable)).toBe(meaning);
  });

  const ERROR_OF_NODE = /Node\.js's own|V8|snapshot/;
  it.each([3, 4, 5, 6, 10, 14])('of process.exit(%i) is not one of Node.js itself', (code) => {
    expect(meaningOf(code, 'node', 'server.js')).toBeNull();
    expect(renderMeanings({ what: String(code), executable: 'node' })).not.toMatch(ERROR_OF_NODE);
  });

  it.each<[number, string, string | null, 'go' | null, string | null]>([
    [4, 'node', 'npm', null, 'the exit code of the script or command that it ran'],
    [1, 'node', 'npm', null, 'npm itself failed, or the script that it ran exited with 1'],
    [7, 'node', 'server.js', null, expect.stringContaining('the program chose it')],
    [5, 'python3.11', 'pytest', null, 'no tests were found'],
    [3, 'python3.11', 'gunicorn', null, 'a worker could not start: the application raised an exception'],
    [1, 'python3.11', 'manage.py', null, 'an uncaught exception, or sys.exit with a message or 1'],
    [2, 'my-own-program', null, 'go', expect.stringContaining('an unrecovered panic')],
    [2, 'go', null, null, expect.stringContaining('an unrecovered panic')],
    [2, 'my-own-program', null, null, null],
    [125, 'dockerd', null, 'go', null],
    [125, 'docker', null, 'go', expect.stringContaining('the container engine itself failed')],
  ])('of %i for %s, script %s, runtime %s', (code, executable, script, runtime, meaning) => {
    expect(exitMeaning(code, { executable, script, runtime })).toEqual(meaning);
  });
});

describe('the meaning of a signal in a record', () => {
  const ALL = CAUSE_VALUES.flatMap((cause) =>
    Object.keys(SIGNAL_MEANINGS).map((signo) => [Number(signo), cause] as const),
  );
  it.each(ALL)('of %i, cause %s, is one that the command prints', (signo, cause) => {
    const meaning = signalMeaningOf(signo, cause);
    const printed = renderMeanings({ what: signalName(signo), executable: null });
    if (meaning !== null && !(cause in { hangup: 0, timer: 0, namespace_exit: 0 })) expect(printed).toContain(meaning);
  });

  it.each([
    [13, 'broken_pipe', 'it wrote to a pipe or socket without a reader'],
    [9, 'oom_kill', 'it was killed by the out-of-memory killer'],
    [1, 'hangup', 'its terminal was closed'],
    [1, 'exit', 'it was asked to reload or to stop'],
    [12, 'timer', 'a timer that it had set expired'],
    [9, 'kernel', null],
    [40, 'killed', null],
  ] as const)('of %i with cause %s is %j', (signo, cause, meaning) => {
    expect(signalMeaningOf(signo, cause)).toBe(meaning);
  });
});

describe('explain', () => {
  it.each([
    ['137', null, ['Convention: 128 + signal', 'SIGKILL (signal 9)', 'timeout', '.NET host']],
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

function meaningOf(code: number, executable: string, script: string | null = null): string | null {
  return exitMeaning(code, { executable, script, runtime: null });
}

/** An executable name that matches the glob. */
function nameOf(glob: string): string {
  return glob.replaceAll('*', 'x');
}
