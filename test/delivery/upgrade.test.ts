// SPDX-License-Identifier: Apache-2.0
// Upgrades by package, on a Debian with systemd as process 1, while processes terminate: from the released .deb and .rpm to this build, and
// back. Every termination has one record, whichever release saw it, kept it or sends it. What the pins of another ABI become is in the end.
import { spawnSync } from 'node:child_process';
import { appendFileSync, copyFileSync, cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { MORTAL, NODE, type Program, ROOT, startProgram, until } from '../../scripts/stack/program.ts';
import { prepared } from './bases.ts';
import { bootMachine, type Machine } from './machine.ts';

const WITHIN_MS = 120_000;
/** Terminations under each release before the next one is installed. */
const UNDER_EACH = 25;
const TEST = '/opt/test';
const RPM = '/opt/rpm';
/** Parts of the C library, which the machine has. */
const OF_LIBC = /^(?:linux-vdso|ld-linux|libc\.|libm\.|libpthread|libdl)/;

let machine: Machine | undefined;
let receiver: Program | undefined;
afterEach(async () => {
  await receiver?.stop();
  await machine?.stop();
  [receiver, machine] = [undefined, undefined];
});

interface Packager {
  readonly kind: string;
  readonly pattern: RegExp;
  /** Puts what the installation needs on the machine. */
  readonly prepare: (on: Machine) => void;
  readonly install: readonly string[];
}

const DEB: Packager = {
  kind: '.deb',
  pattern: /_amd64\.deb$/,
  prepare: () => {},
  install: ['dpkg', '--install', '--force-downgrade'],
};
/** Debian has rpm for other systems' packages: this machine's is copied. Without dependencies, as the database of packages is empty. */
const FROM_RPM: Packager = {
  kind: '.rpm',
  pattern: /\.x86_64\.rpm$/,
  prepare: copyRpm,
  install: [
    'env',
    `LD_LIBRARY_PATH=${RPM}/lib`,
    `RPM_CONFIGDIR=${RPM}/config`,
    `${RPM}/rpm`,
    '--upgrade',
    '--force',
    '--nodeps',
    '--dbpath=/var/lib/rpm',
  ],
};

function copyRpm(on: Machine): void {
  mkdirSync(on.path(`${RPM}/lib`), { recursive: true });
  const { stdout: path } = spawnSync('sh', ['-c', 'command -v rpm'], { encoding: 'utf8' });
  copyFileSync(path.trim(), on.path(`${RPM}/rpm`));
  on.call('chmod', '755', `${RPM}/rpm`);
  cpSync('/usr/lib/rpm', on.path(`${RPM}/config`), { recursive: true, dereference: true });
  const { stdout: libraries } = spawnSync('ldd', [path.trim()], { encoding: 'utf8' });
  for (const [, library = ''] of libraries.matchAll(/=> (\/\S+)/g))
    if (!OF_LIBC.test(basename(library))) copyFileSync(library, on.path(`${RPM}/lib/${basename(library)}`));
}

async function boot(): Promise<Machine> {
  const booted = await bootMachine(JSON.parse(prepared('WHODUNIT_TEST_BASES')).debian);
  machine = booted;
  mkdirSync(booted.path(TEST), { recursive: true });
  copyFileSync(MORTAL, booted.path(`${TEST}/mortal`));
  booted.call('chmod', '755', `${TEST}/mortal`);
  // Without other terminations on this host.
  const dropIn = booted.path('/etc/systemd/system/whodunit-loader.service.d');
  mkdirSync(dropIn, { recursive: true });
  writeFileSync(join(dropIn, 'scope.conf'), '[Service]\nEnvironment=WHODUNIT_SCOPE=/system.slice\n');
  return booted;
}

function copyPackage(on: Machine, from: string, pattern: RegExp, as: string): string {
  const name = readdirSync(from).find((file) => pattern.test(file));
  if (name === undefined) throw new Error(`${from} has no ${pattern}: \`npm run package\` makes it`);
  const inside = `${TEST}/${as}-${name}`;
  copyFileSync(join(from, name), on.path(inside));
  return inside;
}

const journal = (on: Machine) => on.call('journalctl', '--no-pager', '--output', 'cat').output;

function expectSuccess(on: Machine, ...command: string[]): string {
  const { status, output } = on.call(...command);
  expect(status, `${command.join(' ')}\n${output}${status === 0 ? '' : journal(on)}`).toBe(0);
  return output;
}

const show = (on: Machine, unit: string, property: string) =>
  on.call('systemctl', 'show', '--value', '--property', property, unit).output.trim();

async function bothActive(on: Machine): Promise<void> {
  for (const unit of ['whodunit-loader', 'whodunit'])
    await until(
      `${unit} is active`,
      WITHIN_MS,
      () => show(on, unit, 'ActiveState') === 'active' || undefined,
      () => journal(on),
    );
}

/** Processes that exit with 3, one after the other, until endLoad(). It notes the pid of each. */
function startLoad(on: Machine): void {
  const script = `while [ ! -e ${TEST}/end ]; do ${TEST}/mortal exit 3 & echo $!; wait; sleep 0.2; done >${TEST}/pids`;
  expectSuccess(on, 'systemd-run', '--unit=load', 'sh', '-c', script);
}

const pidsOf = (on: Machine): string[] => on.call('cat', `${TEST}/pids`).output.trim().split('\n');

async function terminateMore(on: Machine): Promise<void> {
  const before = pidsOf(on).length;
  await until('further terminations', WITHIN_MS, () => pidsOf(on).length >= before + UNDER_EACH || undefined);
}

async function endLoad(on: Machine): Promise<string[]> {
  writeFileSync(on.path(`${TEST}/end`), '');
  await until('the load ends', WITHIN_MS, () => show(on, 'load', 'ActiveState') !== 'active' || undefined);
  return pidsOf(on);
}

/** Starts a collector for the machine, and returns the lines that it prints: uid and pid of each termination. */
function startReceiver(on: Machine): () => string[] {
  const init = on.path('').split('/')[2] ?? '';
  const program = startProgram('nsenter', ['--target', init, '--net', NODE, join(ROOT, 'test/delivery/receiver.mjs')]);
  receiver = program;
  return () =>
    program
      .stdout()
      .split('\n')
      .filter((line) => line.includes(' '));
}

describe.each([DEB, FROM_RPM])('the $kind', ({ pattern, prepare, install }) => {
  it('is upgraded, downgraded and upgraded while processes terminate: each has one record, and the queue and the history go on', async () => {
    const on = await boot();
    prepare(on);
    const released = copyPackage(on, prepared('WHODUNIT_TEST_RELEASED'), pattern, 'released');
    const built = copyPackage(on, join(ROOT, 'build/packages'), pattern, 'built');
    expectSuccess(on, ...install, released);
    expectSuccess(on, 'mkdir', '/sys/fs/bpf/whodunit'); // its unit did not start without
    appendFileSync(
      on.path('/etc/whodunit/whodunit.env'),
      'WHODUNIT_REPORT=all\nOTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318\nOTEL_EXPORTER_OTLP_PROTOCOL=http/json\n',
    );
    expectSuccess(on, 'systemctl', 'enable', '--now', 'whodunit-loader', 'whodunit');
    startLoad(on);
    await terminateMore(on);
    for (const next of [built, released, built]) {
      const before = ['whodunit-loader', 'whodunit'].map((unit) => show(on, unit, 'MainPID'));
      expectSuccess(on, ...install, next);
      await bothActive(on);
      const after = ['whodunit-loader', 'whodunit'].map((unit) => show(on, unit, 'MainPID'));
      for (const pid of after) expect(before).not.toContain(pid);
      await terminateMore(on);
    }
    const pids = await endLoad(on);
    expect(journal(on).match(/the probes, pinned under .*; ready/g)).toHaveLength(4);
    expect(journal(on)).not.toMatch(/lost \d+ terminations/);
    // No collector ran until now: the queue has what three releases wrote.
    const received = startReceiver(on);
    await until(
      'all records',
      WITHIN_MS,
      () => new Set(received().map((line) => line.split(' ')[1])).size >= pids.length || undefined,
      () => `${received().length} of ${pids.length}\n${journal(on)}`,
    );
    expect(
      received()
        .map((line) => line.split(' ')[1])
        .sort(),
    ).toEqual([...pids].sort());
    expect(new Set(received().map((line) => line.split(' ')[0])).size).toBe(pids.length);
    const listed = expectSuccess(on, 'whodunit', 'list', '--executable', 'mortal', '--limit', '0', '--output', 'jsonl');
    const inHistory = listed
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ kind }) => kind === 'termination')
      .map(({ resource }) => String(resource.attributes['process.vpid']));
    expect(inHistory.sort()).toEqual([...pids].sort());
  });
});

describe('the pins of another ABI', () => {
  it('are taken over with the records in them; the older loader is refused, with the remedy, and nothing is lost', async () => {
    const on = await boot();
    const built = copyPackage(on, join(ROOT, 'build/packages'), DEB.pattern, 'built');
    copyFileSync(prepared('WHODUNIT_TEST_OLDEST_LOADER'), on.path(`${TEST}/oldest-loader`));
    on.call('chmod', '755', `${TEST}/oldest-loader`);
    const oldest = `timeout --preserve-status --signal=TERM 30 ${TEST}/oldest-loader run --scope /system.slice 2>&1 | tee /run/oldest`;
    expectSuccess(on, 'systemd-run', '--unit=oldest', 'sh', '-c', oldest);
    await until(
      'the oldest loader',
      WITHIN_MS,
      () => /\bready\b/.test(on.call('cat', '/run/oldest').output) || undefined,
      () => on.call('cat', '/run/oldest').output,
    );
    expectSuccess(on, 'systemctl', 'stop', 'oldest');
    const dies = (unit: string) => on.call('systemd-run', '--wait', `--unit=${unit}`, `${TEST}/mortal`, 'segfault');
    expect(dies('beforehand').output).toContain('status=11/SEGV');
    expectSuccess(on, ...DEB.install, built);
    expectSuccess(on, 'systemctl', 'enable', '--now', 'whodunit-loader', 'whodunit');
    expect(journal(on)).toContain('replaced the probes of an older loader (ABI 4)');
    expect(dies('afterwards').output).toContain('status=11/SEGV');
    expectSuccess(on, 'systemctl', 'stop', 'whodunit-loader');
    const refused = on.call(`${TEST}/oldest-loader`, 'run', '--scope', '/system.slice');
    expect(refused.status).not.toBe(0);
    expect(refused.output).toContain('unload');
    expect(dies('meanwhile').output).toContain('status=11/SEGV');
    expectSuccess(on, 'systemctl', 'start', 'whodunit-loader');
    for (const unit of ['beforehand', 'afterwards', 'meanwhile'])
      await until(
        `the record of ${unit}`,
        WITHIN_MS,
        () =>
          journal(on).match(new RegExp(`FATAL mortal \\(pid \\d+\\) crashed .* service ${unit} `, 'g'))?.length === 1 ||
          undefined,
        () => journal(on),
      );
  });
});
