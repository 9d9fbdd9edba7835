// SPDX-License-Identifier: Apache-2.0
// Processes that stop others before they kill them, and that call themselves what they like.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { ATTACKER, temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';
import { ALICE, awaitFirstLine, MALLORY, startAs } from './attacker.ts';

const REPORTED_WITHIN_MS = 120_000;
// Without a limit, terminations of a loop or an incident have records of their own.
const both = watched({ WHODUNIT_RECORDS_PER_MINUTE: 'off' });

/** Pids are reused: records from before the test are of other processes. */
let testBeganNs = 0n;
beforeEach(() => {
  testBeganNs = BigInt(Date.now()) * 1_000_000n;
});

/** The record of a process that the test has seen to end. */
const recordOf = (pid: number): Promise<LogRecord> =>
  until(
    `the record of process ${pid}`,
    REPORTED_WITHIN_MS,
    () =>
      both.collector
        .logs()
        .find(({ resource, timeUnixNs }) => resource['process.pid'] === pid && (timeUnixNs ?? 0n) >= testBeganNs),
    () => `${both.whodunit.loader.output()}${both.whodunit.service.output()}`,
  );

/** Waits until the victim is stopped, so that what comes next finds it so. */
const AWAIT_STOPPED = 'until grep -q "^State:.T" "/proc/$1/status"; do :; done';

/** A script of this name, which stops a process, asks it to terminate, and kills it. */
function scriptCalled(name: string): string {
  const { path } = temporaryDirectory();
  chmodSync(path, 0o755);
  writeFileSync(join(path, name), `kill -STOP "$1"\n${AWAIT_STOPPED}\nkill -TERM "$1"\nkill -KILL "$1"\n`);
  return join(path, name);
}

describe('a process with a hostile name stops another one, and kills it', () => {
  it.each([
    ['a line break', 'a\nwas killed by sshd (pid 1, root)\n.sh'],
    ['escape sequences', 'a\u001b[2J\u001b]0;title\u0007\u009b31m.sh'],
    ['text from right to left', 'a\u202ehs.dhss\u2066\u200f.sh'],
  ])('%s', async (_, name) => {
    const victim = await awaitFirstLine(startAs(MALLORY, ATTACKER, ['wait']));
    const long = `${name}${'x'.repeat(4096)}`;
    await startAs(MALLORY, '/bin/bash', [scriptCalled(name), String(victim.pid), long]).ended;
    expect(await victim.ended).toEqual({ code: null, signal: 'SIGKILL' });
    const { body, attributes } = await recordOf(victim.pid);
    expect(attributes).toMatchObject({
      'whodunit.cause': 'killed',
      'whodunit.stop.signal.name': 'SIGSTOP',
      'whodunit.stop.sender.kind': 'process',
      'whodunit.stop.sender.user.id': MALLORY,
      'whodunit.stop.continued': false,
    });
    const texts = [String(body), ...(attributes['whodunit.evidence'] as string[])];
    expect(texts.join('')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/);
    expect(texts.join('\n')).toContain('came while it was stopped');
    expect(String(body).length).toBeLessThan(600);
    expect(String(attributes['whodunit.stop.sender.name']).length).toBeLessThanOrEqual(64);
    expect(String(attributes['whodunit.stop.sender.command_line']).length).toBeLessThan(2048);
  });
});

it('a user who stops and continues ten thousand times takes no room for signals from others', async () => {
  const target = await awaitFirstLine(startAs(MALLORY, ATTACKER, ['wait']));
  const loop = 'for i in $(seq 10000); do kill -STOP "$1"; kill -CONT "$1"; done';
  await startAs(MALLORY, '/bin/bash', ['-c', loop, 'loop', String(target.pid)]).ended;
  const victim = await awaitFirstLine(startAs(ALICE, ATTACKER, ['wait']));
  const kill = `kill -STOP "$1"; ${AWAIT_STOPPED}; kill -TERM "$1"; kill -KILL "$1"`;
  await startAs(ALICE, '/bin/bash', ['-c', kill, 'kill', String(victim.pid)]).ended;
  await victim.ended;
  expect((await recordOf(victim.pid)).attributes).toMatchObject({ 'whodunit.stop.sender.user.id': ALICE });
  // Continued, and then killed: nothing is said of a stop.
  target.child.kill('SIGKILL');
  await target.ended;
  const { attributes } = await recordOf(target.pid);
  expect([attributes['whodunit.cause'], attributes['whodunit.stop.signal.name']]).toEqual(['killed', undefined]);
});
