// SPDX-License-Identifier: Apache-2.0
// A real kill, and what `whodunit list` and `whodunit show` say of it: with a collector and without, while the service runs, after it was
// killed, and after it was stopped. Neither command writes a file.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startCollector } from '../../scripts/stack/collector.ts';
import { until } from '../../scripts/stack/program.ts';
import { exportTo, startCommand, startService, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';

const REPORTED_WITHIN_MS = 60_000;
/** The sleep is executed before it is killed. */
const SCRIPT = 'sleep 100 & sleep 0.3; echo $!; kill -9 $!; wait $! 2>/dev/null; true';

function killSleep(): string {
  return spawnSync('sh', ['-c', SCRIPT], { encoding: 'utf8' }).stdout.trim();
}

async function call({ at }: Whodunit, ...args: string[]) {
  const program = startCommand(at, args);
  const { code } = await program.ended;
  return { code, out: program.stdout(), all: program.output() };
}

/** The names, sizes and times of the files below the state directory. */
function files({ at }: Whodunit): string[] {
  const directory = join(at.directory.path, 'state');
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { size, mtimeMs } = statSync(join(directory, name));
      return `${name} ${size} ${mtimeMs}`;
    });
}

/** Killer, victim and evidence, of the record with this pid. */
async function expectReport(whodunit: Whodunit, pid: string): Promise<void> {
  const list = await call(whodunit, 'list', '--limit', '1', '--signal', 'KILL', '--executable', 'sleep');
  expect(list.code, list.all).toBe(0);
  expect(list.out).toMatch(new RegExp(`sleep +${pid} +killed SIGKILL +sh `));
  const show = await call(whodunit, 'show', pid);
  expect(show.code, show.all).toBe(0);
  expect(show.out).toContain('sleep');
  expect(show.out).toMatch(/who +sh -c .* \(pid \d+/);
  expect(show.out).toMatch(/evidence +\S/);
  expect(show.out).toMatch(/delivery +/);
}

describe.each(['a collector', 'no collector'])('with %s', (how) => {
  it('a kill is listed and shown while the service runs, after it was killed, and after it was stopped', async () => {
    const collector = how === 'a collector' ? await startCollector() : null;
    const whodunit = await startWhodunit(collector === null ? {} : exportTo(collector, 'http/protobuf'));
    let again: ReturnType<typeof startService> | null = null;
    try {
      const pid = killSleep();
      await until(
        'the record',
        REPORTED_WITHIN_MS,
        async () => (await call(whodunit, 'list', '--executable', 'sleep')).out.includes(pid) || undefined,
        whodunit.service.output,
      );
      await expectReport(whodunit, pid);
      if (collector !== null)
        await until(
          'the delivery',
          REPORTED_WITHIN_MS,
          async () => /delivery +delivered at .* to http/.test((await call(whodunit, 'show', pid)).out) || undefined,
        );
      expect((await call(whodunit, 'show', 'last')).code).toBe(0);

      whodunit.service.child.kill('SIGKILL');
      await whodunit.service.ended;
      const before = files(whodunit);
      await expectReport(whodunit, pid);
      expect((await call(whodunit, 'stats', '--since', '1 hour ago')).out).toMatch(/ sh +1 /);
      expect(files(whodunit)).toEqual(before);

      again = startService(whodunit.at, collector === null ? {} : exportTo(collector, 'http/protobuf'));
      const second = killSleep();
      await until(
        'the second record',
        REPORTED_WITHIN_MS,
        async () => (await call(whodunit, 'list', '--executable', 'sleep')).out.includes(second) || undefined,
        again.output,
      );
      await again.stop();
      const stopped = files(whodunit);
      await expectReport(whodunit, second);
      await expectReportOf(whodunit, pid);
      expect(files(whodunit)).toEqual(stopped);
      expect((await call(whodunit, 'list', '--service', 'none')).code).toBe(1);
      expect((await call(whodunit, 'list', '--since', 'some day')).code).toBe(2);
    } finally {
      await again?.stop();
      await whodunit.stop();
      await collector?.stop();
    }
  });
});

async function expectReportOf(whodunit: Whodunit, pid: string): Promise<void> {
  expect((await call(whodunit, 'show', pid)).out).toMatch(/who +sh -c .* \(pid \d+/);
}
