// SPDX-License-Identifier: Apache-2.0
// kill -9 of any part under `npm start` while processes terminate: all terminations arrive. And what starts the parts does not leave them.
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { LOADER, MORTAL, type Program, REAPER, ROOT, startProgram, until } from '../../scripts/stack/program.ts';
import { exportTo, type Place, place } from '../../scripts/stack/whodunit.ts';
import { account, reportedBy } from '../chaos/ledger.ts';
import { startReaper } from '../chaos/reap.ts';
import {
  childRunning,
  isRunning,
  LOADER_NAME,
  npmStart,
  ready,
  runs,
  SERVICE_NAME,
  startScript,
  UP_NAME,
} from '../support/front-door.ts';

const WITHIN_MS = 120_000;
const RATE = 100;
const BETWEEN_KILLS_MS = 2_000;

/** The other processes of this machine are not what is measured. */
const RULES = JSON.stringify({
  rules: [
    { name: 'the test', executable: REAPER, action: 'report' },
    { name: 'others', action: 'ignore' },
  ],
});

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

/** Where an instance runs. Its pins and files are removed after the test. */
async function newPlace(): Promise<Place> {
  const at = await place();
  cleanUp.push(async () => {
    await startProgram(LOADER, ['unload', '--pin-dir', at.pinDir]).ended;
    at.directory.remove();
  });
  return at;
}

async function started(at: Place, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Program> {
  const program = await npmStart(at, args, env);
  cleanUp.push(program.stop);
  return program;
}

const ended = (pid: number) => until(`the end of ${pid}`, WITHIN_MS, () => !runs(pid) || undefined);

describe('kill -9 under npm start, 100 deaths a second', () => {
  it('of the loader, of the service, and of npm start itself, which is started again: all deaths arrive', async () => {
    const collector: Collector = await startCollector();
    cleanUp.push(collector.stop);
    const at = await newPlace();
    const rules = join(at.directory.path, 'rules.yaml');
    writeFileSync(rules, RULES);
    const env = { ...exportTo(collector, 'grpc'), WHODUNIT_CONFIG: rules };
    const first = await started(at, [], env);
    const reaper = startReaper({ rate: RATE });
    await sleep(BETWEEN_KILLS_MS);
    for (const what of [LOADER_NAME, SERVICE_NAME, LOADER_NAME]) {
      process.kill(await childRunning(first.pid, what), 'SIGKILL');
      await sleep(BETWEEN_KILLS_MS);
    }
    expect(first.output()).toContain('the loader ended with SIGKILL: starting it again in 0.2 s.');
    expect(first.output()).toContain('the service ended with SIGKILL: starting it again in 0.2 s.');
    const parts = [await childRunning(first.pid, LOADER_NAME), await childRunning(first.pid, SERVICE_NAME)];
    first.child.kill('SIGKILL');
    for (const pid of parts) await ended(pid);
    const second = await started(at, [], env);
    await sleep(BETWEEN_KILLS_MS);
    const deaths = await reaper.stop();
    await ready(at, second.output);
    await until(
      'all deaths',
      WITHIN_MS,
      async () => {
        await sleep(200);
        const pids = new Set(collector.logs().map(({ resource }) => resource['process.pid']));
        return deaths.every(({ pid }) => pids.has(pid)) || undefined;
      },
      () => `${deaths.length} deaths, ${collector.logs().length} records\n${second.output()}`,
    ).catch(() => {}); // the account below says what is missing
    const records = collector.logs().flatMap((record) => reportedBy(record) ?? []);
    expect(account(deaths, records, REAPER)).toMatchObject({
      deaths: deaths.length,
      missing: 0,
      duplicates: 0,
      wrong: 0,
    });
    second.child.kill('SIGINT');
    expect(await second.ended, second.output()).toEqual({ code: 0, signal: null });
    expect(existsSync(at.pinDir)).toBe(false);
  });
});

describe('kill -9 of the service, again and again before it is ready', () => {
  it('npm start goes on starting it', async () => {
    const at = await newPlace();
    const program = await started(at);
    for (let kills = 0; kills < 6; kills += 1) {
      const pid = await childRunning(program.pid, SERVICE_NAME);
      process.kill(pid, 'SIGKILL');
      await ended(pid);
    }
    await ready(at, program.output);
    expect(program.output().match(/the service ended with SIGKILL: starting it again/g)).toHaveLength(6);
  });
});

describe('a part that cannot run', () => {
  it('is not started if its configuration is wrong', async () => {
    const at = await newPlace();
    const program = startScript('start', [], {
      WHODUNIT_SOCKET: at.socket,
      WHODUNIT_PIN_DIR: at.pinDir,
      WHODUNIT_HEALTH_ADDR: at.health,
      WHODUNIT_QUEUE_BYTES: 'plenty',
    });
    expect(await program.ended, program.output()).toEqual({ code: 78, signal: null });
    expect(program.output()).toContain('WHODUNIT_QUEUE_BYTES is "plenty"');
    expect(program.output()).not.toContain('The service runs as');
  });

  it('ends npm start at once if another start would fail, too', async () => {
    const at = await newPlace();
    const program = startScript('start', [], {
      WHODUNIT_SOCKET: at.socket,
      WHODUNIT_PIN_DIR: at.pinDir,
      WHODUNIT_HEALTH_ADDR: at.health,
      WHODUNIT_STATE_DIR: `${at.directory.path}/state`,
      WHODUNIT_CONFIG: `${at.directory.path}/missing.yaml`,
    });
    expect(await program.ended, program.output()).toEqual({ code: 1, signal: null });
    expect(program.output()).toContain('missing.yaml');
    expect(program.output()).toContain('the service ended with code 78, so whodunit stops');
    expect(program.output()).not.toContain('starting it again');
  });

  it('ends npm start after it failed several times in a row', async () => {
    const at = await newPlace();
    const failing = startScript('start', [], {
      WHODUNIT_SOCKET: join(MORTAL, 'events.sock'), // not a directory
      WHODUNIT_PIN_DIR: at.pinDir,
      WHODUNIT_HEALTH_ADDR: 'off',
      WHODUNIT_STATE_DIR: `${at.directory.path}/state`,
    });
    expect(await failing.ended, failing.output()).toEqual({ code: 1, signal: null });
    expect(failing.output().match(/the loader ended with code \d+: starting it again/g)).toHaveLength(4);
    expect(failing.output()).toContain('the loader ended 5 times before it was ready');
  });
});

describe('a second npm start', () => {
  it('starts nothing, says so in one sentence, and leaves the first one alone', async () => {
    const at = await newPlace();
    const first = await started(at);
    const second = startScript('start', [], {
      WHODUNIT_SOCKET: at.socket,
      WHODUNIT_PIN_DIR: at.pinDir,
      WHODUNIT_HEALTH_ADDR: at.health,
    });
    expect(await second.ended, second.output()).toEqual({ code: 1, signal: null });
    expect(second.output()).toContain('whodunit already runs on this machine');
    expect(second.output()).not.toContain('The service runs as');
    await ready(at, first.output);
    expect(first.output()).not.toContain('starting it again');
    expect(existsSync(at.pinDir)).toBe(true);
  });
});

describe('a killed command', () => {
  it('npm run demo leaves neither loader nor pins', async () => {
    const demo = startScript('demo', []);
    cleanUp.push(demo.stop);
    const loader = await childRunning(demo.pid, LOADER_NAME);
    const pinDir = `/sys/fs/bpf/whodunit-demo-${demo.pid}`;
    await until('its pins', WITHIN_MS, () => existsSync(pinDir) || undefined, demo.output);
    demo.child.kill('SIGKILL');
    await ended(loader);
    expect(existsSync(pinDir), demo.output()).toBe(false);
  });

  it('npm whose child is npm start: a killed npm ends all of it', async () => {
    const at = await newPlace();
    chmodSync(at.directory.path, 0o711);
    const npm = startProgram('npm', ['start', '--silent'], {
      cwd: ROOT,
      env: {
        ...process.env,
        WHODUNIT_SOCKET: at.socket,
        WHODUNIT_PIN_DIR: at.pinDir,
        WHODUNIT_HEALTH_ADDR: at.health,
        WHODUNIT_STATE_DIR: `${at.directory.path}/state`,
      },
    });
    cleanUp.push(npm.stop);
    await isRunning(npm);
    const start = await childRunning(npm.pid, UP_NAME);
    const parts = [await childRunning(start, LOADER_NAME), await childRunning(start, SERVICE_NAME)];
    npm.child.kill('SIGKILL');
    for (const pid of [start, ...parts]) await ended(pid);
  });

  it('a closed terminal ends npm start and its parts', async () => {
    const at = await newPlace();
    chmodSync(at.directory.path, 0o711);
    // dash, which runs the command as a child unless it is given an exec
    const terminal = startProgram('script', ['-qfc', 'exec npm start --silent', '/dev/null'], {
      cwd: ROOT,
      env: {
        ...process.env,
        SHELL: '/bin/sh',
        WHODUNIT_SOCKET: at.socket,
        WHODUNIT_PIN_DIR: at.pinDir,
        WHODUNIT_HEALTH_ADDR: at.health,
        WHODUNIT_STATE_DIR: `${at.directory.path}/state`,
      },
    });
    cleanUp.push(terminal.stop);
    await isRunning(terminal);
    const npm = await childRunning(terminal.pid, 'npm');
    const start = await childRunning(npm, UP_NAME);
    const parts = [await childRunning(start, LOADER_NAME), await childRunning(start, SERVICE_NAME)];
    terminal.child.kill('SIGKILL'); // the kernel sends SIGHUP to the terminal's foreground processes
    for (const pid of [npm, start, ...parts]) await ended(pid);
    expect(existsSync(at.pinDir)).toBe(false);
  });
});

describe('WHODUNIT_HEALTH_ADDR', () => {
  it.each<[string, (port: string) => string, (port: string) => string]>([
    ['off', () => 'off', () => 'off'],
    ['every address', (port) => `:${port}`, (port) => `http://127.0.0.1:${port}/readyz`],
  ])('%s: npm start is ready', async (_, value, said) => {
    const at = await newPlace();
    const [, port = ''] = at.health.split(':');
    const program = await started(at, [], { WHODUNIT_HEALTH_ADDR: value(port) });
    expect(program.output()).toContain(`whodunit is running. Health: ${said(port)}.`);
  });

  it('that is wrong ends npm start at once, and one that is taken with the name of its owner', async () => {
    const at = await newPlace();
    const env = { WHODUNIT_SOCKET: at.socket, WHODUNIT_PIN_DIR: at.pinDir };
    const wrong = startScript('start', [], { ...env, WHODUNIT_HEALTH_ADDR: 'nine' });
    expect(await wrong.ended).toEqual({ code: 78, signal: null });
    expect(wrong.output()).toContain('WHODUNIT_HEALTH_ADDR is "nine"; allowed: host:port');

    const owner = startProgram('python3', ['-m', 'http.server', '--bind', '127.0.0.1', at.health.split(':')[1] ?? '']);
    cleanUp.push(owner.stop);
    await until('the port is taken', WITHIN_MS, () =>
      fetch(`http://${at.health}`).then(
        () => true,
        () => undefined,
      ),
    );
    const taken = startScript('start', [], { ...env, WHODUNIT_HEALTH_ADDR: at.health });
    expect(await taken.ended).toEqual({ code: 1, signal: null });
    expect(taken.output()).toContain(
      `${at.health} is already in use by python3 (pid ${owner.pid}, uid 0): stop that program`,
    );
  });
});
