// SPDX-License-Identifier: Apache-2.0
// What people read: on a terminal whole reports, in a log one line for each termination; a real script that kills, and a real core dump, by
// the core_pattern that this machine has.
import { spawnSync } from 'node:child_process';
import { chmodSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { NODE, SERVICE } from '../../scripts/paths.ts';
import { startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { startCommand, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';

const REPORTED_WITHIN_MS = 120_000;
/** Between terminations that a reader may have missed because it had not started. */
const AGAIN_MS = 1_000;

let whodunit: Whodunit;
let directory: ReturnType<typeof temporaryDirectory>;
beforeAll(async () => {
  directory = temporaryDirectory();
  whodunit = await startWhodunit({ WHODUNIT_REPORT: 'all' });
});
afterAll(async () => {
  await whodunit?.stop();
  directory?.remove();
});

async function show(what: string): Promise<string> {
  const program = startCommand(whodunit.at, ['show', what]);
  await program.ended;
  return program.stdout();
}

/** The line of the service's log about this pid. */
function lineOf(pid: string): Promise<string> {
  const about = () =>
    whodunit.service
      .stdout()
      .split('\n')
      .find((text) => text.includes(`(pid ${pid}`));
  return until('the line', REPORTED_WITHIN_MS, about, whodunit.service.output);
}

function sh(script: string): string {
  return spawnSync('sh', ['-c', script], { encoding: 'utf8', cwd: directory.path }).stdout.trim();
}

/** Kills a sleep by a script. Returns the pids of both, and the report. */
async function killByScript(script: string) {
  const victim = startProgram('sleep', ['98.7654'], { stdio: 'ignore' });
  const pid = String(victim.child.pid);
  const isExecuted = () => readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('sleep\0') || undefined;
  await until('its exec', REPORTED_WITHIN_MS, isExecuted);
  const killer = sh(`${script} '^sleep 98.7654$'; true`);
  await victim.ended;
  return { pid, killer, line: await lineOf(pid), report: await show(pid) };
}

describe('a kill by a script', () => {
  it('is one line in a log, and in the report the script has a line with its arguments and its pid', async () => {
    const script = join(directory.path, 'tidy.sh');
    writeFileSync(script, '#!/bin/bash\necho $$\npkill -9 -f "$1"\ntrue\n');
    chmodSync(script, 0o755);
    // While the ring is nearly full of other terminations, records have no arguments of ancestors.
    const { line, report, killer } = await until('ancestors with arguments', REPORTED_WITHIN_MS, async () => {
      const killed = await killByScript(script);
      return killed.report.includes(' ← bash ') ? killed : undefined;
    });
    expect(line).toMatch(
      / ERROR sleep \(pid \d+\) was killed by SIGKILL, sent by pkill \(pid \d+, \w+\) ← tidy\.sh .* · id /,
    );
    expect(report).toMatch(/^ {2}who {7}pkill -9 -f \^sleep 98\.7654\$ \(pid \d+, \w+\).*$/m);
    expect(report).toMatch(new RegExp(`^ {12}← bash ${script} \\^sleep 98\\.7654\\$ \\(pid ${killer}, \\w+\\)`, 'm'));
    expect(report.match(new RegExp(`bash ${script}`, 'g'))).toHaveLength(1);
  });
});

describe('a core dump', () => {
  it('is where the report says, by the core_pattern of this machine', async () => {
    const pid = sh('ulimit -c unlimited; sh -c "echo \\$\\$; kill -SEGV \\$\\$"; true');
    const report = await until(
      'the report',
      REPORTED_WITHIN_MS,
      async () => (/core dumped/.test(await show(pid)) ? show(pid) : undefined),
      whodunit.service.output,
    );
    const [, place = ''] = /^ {2}core {6}(.*)$/m.exec(report) ?? [];
    const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim();
    if (/^[|@]/.test(pattern)) return expect(place).not.toBe('');
    const relative = place.replace(/, in its working directory$/, '');
    expect(globSync(relative, { cwd: directory.path }), place).toHaveLength(1);
    expect(await lineOf(pid)).toContain(` · core: ${place} · `);
  });

  it('has no line where none was written', async () => {
    const pid = sh('ulimit -c 0; sh -c "echo \\$\\$; kill -SEGV \\$\\$"; true');
    await lineOf(pid);
    expect(await show(pid)).not.toMatch(/^ {2}core /m);
  });
});

it('a terminal gets whole reports', async () => {
  const command = `exec ${NODE} ${SERVICE} follow --state-dir ${join(whodunit.at.directory.path, 'state')}`;
  const terminal = startProgram('script', ['-qfc', command, '/dev/null'], { env: { PATH: process.env.PATH } });
  onTestFinished(async () => void (await terminal.stop()));
  const report = await until(
    'the report',
    REPORTED_WITHIN_MS,
    async () => {
      // Only what ends after it began to follow is shown.
      await sleep(AGAIN_MS);
      sh('sh -c "kill -USR1 \\$\\$"; true');
      return /✖ (?:sh|dash|bash) [^✖]*\n.*when [^✖]*\n.*was [^✖]*\n\r?\n/.exec(terminal.stdout())?.[0];
    },
    terminal.output,
  );
  expect(report).toContain('terminated itself with SIGUSR1');
});
