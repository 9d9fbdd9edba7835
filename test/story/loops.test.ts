// SPDX-License-Identifier: Apache-2.0
// Crash loops of real programs, each of whose terminations for itself is filtered: one record when the loop begins, one when it is over.
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { isTermination, type LogRecord } from '../../scripts/stack/otlp-file.ts';
import { MORTAL, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';

const SAID_WITHIN_MS = 90_000;
const SUPERVISORD = '/usr/bin/supervisord';
const PM2 = process.env.WHODUNIT_TEST_PM2;

const both = watched({ WHODUNIT_REPORT: 'default' });

const records = (argument: string): LogRecord[] =>
  both.collector
    .logs()
    .filter(({ attributes, resource }) =>
      [attributes['whodunit.aggregated.command'], resource['process.command_args']].flat().join(' ').includes(argument),
    );

/** The records of a loop, when it is over. */
async function loop(argument: string): Promise<LogRecord[]> {
  const of = () => records(argument).filter(({ eventName }) => eventName === 'whodunit.process.loop');
  return until(
    'the end of the loop',
    SAID_WITHIN_MS,
    () => (of().some(({ attributes }) => attributes['whodunit.loop.state'] === 'ended') ? of() : undefined),
    () => `${JSON.stringify(of())}\n${both.whodunit.service.output()}`,
  );
}

it('50 lives in a shell: two records, the second with the exact number', async () => {
  const argument = `while-${process.pid}`;
  const script = 'i=0; while [ $i -lt 50 ]; do "$0" exit 9 "$1"; sleep 0.02; i=$((i+1)); done; sleep 60';
  const shell = startProgram('sh', ['-c', script, MORTAL, argument]);
  const [began, ended, ...more] = await loop(argument);
  shell.child.kill('SIGKILL');
  expect(began?.body).toMatch(
    /^mortal \(pid \d+\) terminated for the fifth time in [\d.]+ m?s: exit code 9 each time; sh \(pid \d+\) started it again after \d+ ms\.$/,
  );
  expect(began?.attributes).toMatchObject({
    'whodunit.loop.state': 'began',
    'whodunit.loop.count': 5,
    'whodunit.aggregated.command': `${MORTAL} exit 9 ${argument}`,
  });
  expect(ended?.attributes).toMatchObject({
    'whodunit.loop.id': began?.attributes['whodunit.loop.id'],
    'whodunit.loop.count': 50,
    'whodunit.loop.outcomes': ['50 × exit code 9'],
  });
  expect(more).toEqual([]);
  expect(records(argument).filter(isTermination)).toEqual([]);
});

it.skipIf(!existsSync(SUPERVISORD))(
  'supervisord gives up: who started it again, after which time, and that it does not any more',
  async () => {
    const argument = `supervised-${process.pid}`; // Another exit code: equal ones may be counted unseen for 10 s.
    const directory = temporaryDirectory();
    const file = join(directory.path, 'supervisord.conf');
    const lines = [
      '[supervisord]',
      'nodaemon=true',
      `logfile=${directory.path}/log`,
      `pidfile=${directory.path}/pid`,
      '[program:server]',
      `command=${MORTAL} exit 7 ${argument}`,
      'startretries=3',
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    const supervisor = startProgram(SUPERVISORD, ['-c', file]);
    try {
      const [began, ended, ...more] = await loop(argument);
      console.log(
        both.whodunit.service
          .output()
          .split('\n')
          .filter((l) => l.includes('DBG'))
          .join('\n'),
      );
      expect(began?.body).toMatch(
        /^mortal \(pid \d+\) terminated for the third time in [\d.]+ s: exit code 7 each time; supervisord \(pid \d+\) started it again after [\d.]+ s\.$/,
      );
      expect(began?.attributes['whodunit.loop.restarter']).toBe(`supervisord (pid ${supervisor.pid})`);
      // More than 4 on a busy machine: supervisord may take one for a start that succeeded, if it looks late.
      const starts = readFileSync(join(directory.path, 'log'), 'utf8').split('spawned:').length - 1;
      expect(ended?.body).toMatch(
        /^mortal terminated \d+ times in [\d.]+ s: exit code 7 each time; it was not started again \(supervisord's startretries\?\)\.$/,
      );
      expect(ended?.attributes['whodunit.loop.count']).toBe(starts);
      expect(more).toEqual([]);
    } finally {
      await supervisor.stop();
      directory.remove();
    }
  },
);

it.skipIf(PM2 === undefined)('pm2 gives up after 15 restarts', async () => {
  const argument = `pm2-${process.pid}`;
  const directory = temporaryDirectory();
  const env = { ...process.env, PM2_HOME: directory.path };
  const call = (...args: string[]) => startProgram(PM2 ?? '', args, { env }).ended;
  // Another copy, since equal executables with an equal end may be counted unseen for 10 s.
  const server = join(directory.path, 'server');
  copyFileSync(MORTAL, server);
  onTestFinished(async () => {
    await call('kill');
    directory.remove();
  });
  await call('start', server, '--interpreter', 'none', '--', 'exit', '5', argument);
  const [began, ended, ...more] = await loop(argument);
  expect(began?.body).toMatch(
    /^server \(pid \d+\) terminated for the third time in [\d.]+ m?s: exit code 5 each time; pm2 \(pid \d+\) started it again after [\d.]+ m?s\.$/,
  );
  expect(ended?.body).toMatch(
    /^server terminated 16 times in [\d.]+ m?s: exit code 5 each time; it was not started again \(pm2's max_restarts\?\)\.$/,
  );
  expect(more).toEqual([]);
});
