// SPDX-License-Identifier: Apache-2.0
// The first minute of a new user, on a Debian without Go, Node.js or the repository: one command installs, one starts, and a killed process is
// reported. And what can be in the way: each time one sentence with the remedy, nothing half-installed, nothing lost.
import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { MORTAL, NODE, type Program, ROOT, startProgram, until } from '../../scripts/stack/program.ts';
import { prepared } from './bases.ts';
import { bootMachine, bootWithoutSystemd, type Machine } from './machine.ts';

const WITHIN_MS = 60_000;
const PACKAGES = join(ROOT, 'build/packages');
const TEST = '/opt/test';
const FOLDER = '/srv/unpacked';
const WHODUNIT = `${FOLDER}/whodunit`;
const PORT_OWNER = ['python3', '-m', 'http.server', '--bind', '127.0.0.1', '9465'];
const AS_NOBODY = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups'];

let machine: Machine | undefined;
let receiver: Program | undefined;
afterEach(async () => {
  await receiver?.stop();
  await machine?.stop();
  [receiver, machine] = [undefined, undefined];
});

/** Copies a package to TEST. Returns its path on the machine. */
function put(on: Machine, pattern: RegExp): string {
  const name = readdirSync(PACKAGES).find((file) => pattern.test(file));
  if (name === undefined) throw new Error(`${PACKAGES} has no ${pattern}: \`npm run package\` makes it`);
  copyFileSync(join(PACKAGES, name), on.path(`${TEST}/${name}`));
  return `${TEST}/${name}`;
}

/** Boots a machine with packages. Returns their paths on it. */
async function boot(how: typeof bootMachine): Promise<{ on: Machine; deb: string; archive: string }> {
  const on = await how(JSON.parse(prepared('WHODUNIT_TEST_BASES')).debian);
  machine = on;
  for (const program of ['go', 'node', 'npm']) expect(on.call('which', program).status).not.toBe(0);
  mkdirSync(on.path(TEST), { recursive: true });
  return { on, deb: put(on, /_amd64\.deb$/), archive: put(on, /-amd64\.tar\.gz$/) };
}

function succeed(on: Machine, ...command: string[]): string {
  const { status, output } = on.call(...command);
  expect(status, `${command.join(' ')}\n${output}`).toBe(0);
  return output;
}

const journal = (on: Machine) => on.call('journalctl', '--unit=whodunit*', '--no-pager', '--output=cat').output;

const install = (on: Machine, deb: string) => succeed(on, 'apt-get', 'install', '--yes', deb);

/** Unpacks the archive as FOLDER. */
function unpack(on: Machine, archive: string): void {
  succeed(on, 'tar', '-xzf', archive, '-C', '/srv');
  succeed(on, 'mv', `/srv/${basename(archive, '.tar.gz')}`, FOLDER);
}

/** `whodunit up` on the machine, with Ctrl-C. */
function startUp(on: Machine, ...settings: string[]) {
  const run = `echo $$ >/run/up.pid; exec env ${settings.join(' ')} ${WHODUNIT} up --output json`;
  const program = on.start('sh', '-c', run);
  const running = () =>
    until(
      'it runs',
      WITHIN_MS,
      () => {
        if (!program.alive()) throw new Error(`it ended:\n${program.output()}`);
        return /whodunit is running/.test(program.output()) || undefined;
      },
      program.output,
    );
  const interrupt = async () => {
    succeed(on, 'sh', '-c', 'kill -INT $(cat /run/up.pid)');
    return { ...(await program.ended), output: program.output() };
  };
  return { program, running, interrupt };
}

/** What a user tries first. The shell may be killed before it has executed sleep. Returns the pattern of the sentence. */
function killSleep(on: Machine): RegExp {
  succeed(on, 'bash', '-c', 'sleep 100 & kill -9 $!; wait');
  return /(?:sleep|bash) \(pid \d+\) was killed by SIGKILL, sent by bash/;
}

/** Nothing of a whodunit that could not start is left: no probes, no socket, no programs. */
function expectNothingLeft(on: Machine): void {
  expect(readdirSync(on.path('/sys/fs/bpf'))).not.toContain('whodunit');
  expect(existsSync(on.path('/run/whodunit/events.sock'))).toBe(false);
  expect(on.call('sh', '-c', 'cat /proc/[0-9]*/cmdline').output).not.toMatch(/whodunit-loader|main\.js/);
}

describe('the first minute', () => {
  it('with the .deb: one command installs, one starts, and the first kill is reported', async () => {
    const { on, deb } = await boot(bootMachine);
    const start = performance.now();
    expect(install(on, deb)).toContain('systemctl enable --now whodunit-loader whodunit');
    succeed(on, 'systemctl', 'enable', '--now', 'whodunit-loader', 'whodunit');
    succeed(on, 'systemd-run', '--wait', '--unit=first', 'bash', '-c', 'sleep 100 & kill -9 $!; wait');
    const sentence = /(?:sleep|bash) \(pid \d+\) was killed by SIGKILL, sent by bash .* · service first · /;
    await until(
      'the report',
      WITHIN_MS,
      () => sentence.test(journal(on)) || undefined,
      () => journal(on),
    );
    expect(performance.now() - start).toBeLessThan(WITHIN_MS);
    expect(succeed(on, 'whodunit', 'list', '--unit', 'first.service')).toMatch(/SIGKILL/);
  });

  it('with the .tar.gz, without systemd and package manager: it runs from its folder, and leaves nothing at Ctrl-C', async () => {
    const { on, archive } = await boot(bootWithoutSystemd);
    const start = performance.now();
    unpack(on, archive);
    const { program, running, interrupt } = startUp(on);
    await running();
    const sentence = killSleep(on);
    await until('the report', WITHIN_MS, () => sentence.test(program.output()) || undefined, program.output);
    expect(performance.now() - start).toBeLessThan(WITHIN_MS);
    expect(program.output()).toContain('The service runs as nobody, without privileges.');
    await until('the history', WITHIN_MS, () => /SIGKILL/.test(on.call(WHODUNIT, 'list').output) || undefined);
    expect(on.call(WHODUNIT, 'doctor').output).toMatch(/^ok /m);
    expect(succeed(on, WHODUNIT, 'explain', '137')).toContain('SIGKILL');
    expect(succeed(on, `${FOLDER}/whodunit-loader`, 'check')).toMatch(/^ok +kernel/);
    expect(await interrupt()).toMatchObject({
      code: 0,
      output: expect.stringContaining('whodunit has stopped (the service: code 0, the loader: code 0).'),
    });
    expectNothingLeft(on);
  });

  it('with the .deb, without systemd: it installs, and names the command that starts it', async () => {
    const { on, deb } = await boot(bootWithoutSystemd);
    expect(install(on, deb)).toContain(
      'systemd does not run here. This starts both programs, until Ctrl-C: whodunit up',
    );
    const program = on.start('whodunit', 'up');
    await until('it runs', WITHIN_MS, () => /whodunit is running/.test(program.output()) || undefined, program.output);
    expect(program.output()).toContain('The service runs as whodunit, without privileges.');
    const sentence = killSleep(on);
    await until('the report', WITHIN_MS, () => sentence.test(program.output()) || undefined, program.output);
  });
});

describe('what is in the way of `whodunit up`', () => {
  it('an ordinary user without sudo, a state directory that is read-only, a port that is taken: one sentence each, and nothing is left', async () => {
    const { on, archive } = await boot(bootWithoutSystemd);
    unpack(on, archive);
    const refused = (sentence: string, ...command: string[]) => {
      const { status, output } = on.call(...command);
      expect({ status, output }).toEqual({ status: 1, output: expect.stringMatching(/^whodunit: [^\n]*\n$/) });
      expect(output).toContain(sentence);
      expectNothingLeft(on);
    };
    refused('sudo is not installed. Run this as root.', ...AS_NOBODY, WHODUNIT, 'up');
    succeed(on, 'mount', '--bind', FOLDER, FOLDER);
    succeed(on, 'mount', '-o', 'remount,bind,ro', FOLDER);
    const state = `${FOLDER}/state`;
    const elsewhere = `cannot be kept in ${state} (EROFS): set WHODUNIT_STATE_DIR to a directory`;
    refused(elsewhere, 'env', `WHODUNIT_STATE_DIR=${state}`, WHODUNIT, 'up');
    const owner = on.start(...PORT_OWNER);
    const taken = () => on.call('grep', ':24F9 ', '/proc/net/tcp').status === 0 || undefined;
    await until('the port is taken', WITHIN_MS, taken, owner.output);
    refused('is already in use by python3', WHODUNIT, 'up');
    refused('set WHODUNIT_HEALTH_ADDR to another address or to off', WHODUNIT, 'up');
    // The folder itself may be read-only.
    const { running, interrupt } = startUp(on, 'WHODUNIT_HEALTH_ADDR=off');
    await running();
    expect(await interrupt()).toMatchObject({ code: 0 });
    expectNothingLeft(on);
  });

  it('an endpoint that is down: it says so, keeps the record, and sends it later', async () => {
    const { on, archive } = await boot(bootWithoutSystemd);
    unpack(on, archive);
    copyFileSync(MORTAL, on.path(`${TEST}/mortal`));
    succeed(on, 'chmod', '755', `${TEST}/mortal`);
    const endpoint = 'OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318';
    const { program, running, interrupt } = startUp(on, endpoint, 'OTEL_EXPORTER_OTLP_PROTOCOL=http/json');
    await running();
    on.call(`${TEST}/mortal`, 'segfault');
    await until('its line', WITHIN_MS, () => /ECONNREFUSED/.test(program.output()) || undefined, program.output);
    const init = on.path('').split('/')[2] ?? '';
    const collector = startProgram('nsenter', [
      '--target',
      init,
      '--net',
      NODE,
      join(ROOT, 'test/delivery/receiver.mjs'),
    ]);
    receiver = collector;
    await until('the record', WITHIN_MS, () => / \d+$/m.test(collector.stdout()) || undefined, program.output);
    expect(await interrupt()).toMatchObject({ code: 0 });
  });
});

it('the .tar.gz for another processor says so, and which one is needed', async () => {
  const { on } = await boot(bootWithoutSystemd);
  unpack(on, put(on, /-arm64\.tar\.gz$/));
  expect(on.call(WHODUNIT, 'up')).toEqual({
    status: 69,
    output: expect.stringMatching(/^whodunit: this package is for another processor\. This one is x86_64: [^\n]*\n$/),
  });
});

describe('what is in the way of the .deb', () => {
  it('a port that is taken: the journal names the remedy, and what terminated meanwhile is reported once it is free', async () => {
    const { on, deb } = await boot(bootMachine);
    succeed(on, 'systemd-run', '--unit=owner', ...PORT_OWNER);
    install(on, deb);
    expect(on.call('systemctl', 'enable', '--now', 'whodunit-loader', 'whodunit').status).not.toBe(0);
    expect(journal(on)).toMatch(
      /9465 is already in use by .*: stop that program, or set WHODUNIT_HEALTH_ADDR to another/,
    );
    succeed(on, 'systemd-run', '--wait', '--unit=meanwhile', 'bash', '-c', 'sleep 100 & kill -9 $!; wait');
    succeed(on, 'systemctl', 'stop', 'owner');
    await until(
      'the report',
      WITHIN_MS,
      () => / · service meanwhile · /.test(journal(on)) || undefined,
      () => journal(on),
    );
  });

  it('a second whodunit: `whodunit up` beside the units starts nothing; a unit beside `whodunit up` waits for its end', async () => {
    const { on, deb, archive } = await boot(bootMachine);
    unpack(on, archive);
    const first = startUp(on);
    await first.running();
    install(on, deb);
    expect(on.call('systemctl', 'enable', '--now', 'whodunit-loader').status).not.toBe(0);
    expect(journal(on)).toMatch(/events\.sock is taken: another program serves it; stop that program/);
    const sentence = killSleep(on);
    await until(
      'the report',
      WITHIN_MS,
      () => sentence.test(first.program.output()) || undefined,
      first.program.output,
    );
    expect(await first.interrupt()).toMatchObject({ code: 0 });
    const active = () => on.call('systemctl', 'is-active', 'whodunit-loader').status === 0 || undefined;
    await until('the unit', WITHIN_MS, active, () => journal(on));
    const { status, output } = on.call(WHODUNIT, 'up');
    expect(status).toBe(1);
    expect(output).toMatch(/^whodunit: whodunit already runs on this machine, [^\n]*\n$/);
    expect(active()).toBe(true);
  });
});
