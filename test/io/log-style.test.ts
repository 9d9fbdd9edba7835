// SPDX-License-Identifier: Apache-2.0
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { LogLevel } from '../../src/config/kinds.ts';
import { readLogLevel } from '../../src/config/log-level.ts';
import { Log } from '../../src/io/log.ts';
import { logStyle } from '../../src/io/log-style.ts';

const TIME = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z';
const fd = openSync('/dev/null', 'w');
const { dev, ino } = fstatSync(fd);
const OWN = `${dev}:${ino}`;

/** What is written of one line of each severity, and of the reason for which the program ends. */
function written(level: LogLevel | null, stream: string): string {
  let text = '';
  const log = new Log((line) => (text += line), undefined, logStyle({ JOURNAL_STREAM: stream }, level, fd));
  for (const severity of ['debug', 'info', 'warn', 'error'] as const) log.line(severity, severity);
  log.rateLimited('topic', 'limited');
  log.failure('over');
  return text;
}

describe('a line of the service begins', () => {
  it.each([
    { name: 'without a journal', stream: '' },
    { name: 'in a file in place of the journal', stream: `1${OWN}` },
    { name: 'with a stream that is none', stream: 'x' },
  ])('with time and level $name', ({ stream }) => {
    expect(written('info', stream)).toMatch(
      new RegExp(
        `^${TIME} INFO whodunit: info\n${TIME} WARN whodunit: warn\n${TIME} ERROR whodunit: error\n${TIME} WARN whodunit: limited\n${TIME} ERROR whodunit: over\n$`,
      ),
    );
  });

  it('with its priority in the journal', () => {
    expect(written('debug', OWN)).toBe(
      '<7>whodunit: debug\n<6>whodunit: info\n<4>whodunit: warn\n<3>whodunit: error\n<4>whodunit: limited\n<3>whodunit: over\n',
    );
  });
});

describe('OTEL_LOG_LEVEL', () => {
  it.each([
    ['warn', '<4>whodunit: warn\n<3>whodunit: error\n<4>whodunit: limited\n<3>whodunit: over\n'],
    ['error', '<3>whodunit: error\n<3>whodunit: over\n'],
    ['none', '<3>whodunit: over\n'],
  ] as const)('%s leaves out what is less important, but not why the program ends', (level, text) => {
    expect(written(level, OWN)).toBe(text);
  });

  it.each([
    ['', 'info'],
    ['WARN', 'warn'],
    [' Error ', 'error'],
    ['none', 'none'],
    ['debug', 'debug'],
    ['verbose', 'debug'],
    ['ALL', 'debug'],
  ])('%j is %s', (text, level) => {
    expect(readLogLevel({ OTEL_LOG_LEVEL: text })).toEqual({ level, problem: null });
  });

  it('that is invalid is reported in one sentence, and is the default', () => {
    const problem =
      'OTEL_LOG_LEVEL is "loud\\n!"; allowed: none, error, warn, info, debug, verbose, all. Until it is corrected, it is info.';
    expect(readLogLevel({ OTEL_LOG_LEVEL: 'loud\n!' })).toEqual({ level: 'info', problem });
  });
});

it('a command says it without time and level, and with the priority in the journal', () => {
  expect(written(null, '')).toBe(
    'whodunit: info\nwhodunit: warn\nwhodunit: error\nwhodunit: limited\nwhodunit: over\n',
  );
  expect(written(null, OWN)).toMatch(/^<6>whodunit: info\n/);
});

it('a closed stderr is no journal', () => {
  const closed = openSync('/dev/null', 'w');
  closeSync(closed);
  expect(logStyle({ JOURNAL_STREAM: OWN }, null, closed).head('error')).toBe('');
  expect(() => writeSync(closed, 'x')).toThrow();
});
