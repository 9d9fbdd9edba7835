// SPDX-License-Identifier: Apache-2.0
// The first commands of a user: `npm start` and `npm run demo`, with the command lines from package.json.
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { answers } from '../../scripts/stack/collector.ts';
import { MORTAL, type Program, ROOT, startProgram, until } from '../../scripts/stack/program.ts';
import { type Place, place } from '../../scripts/stack/whodunit.ts';

const READY_WITHIN_MS = 60_000; // it builds first
const REPORT_WITHIN_MS = 60_000;
const DEMO_WITHIN_MS = 90_000;

const { scripts }: { scripts: Record<string, string> } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8'));

/** Runs a script of package.json as npm does: in a shell, which the command replaces. */
function startScript(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
  return startProgram('sh', ['-c', `${scripts[name]} "$@"`, 'sh', ...args], { env: { ...process.env, ...env } });
}

const running: Program[] = [];
const places: Place[] = [];

afterEach(async () => {
  for (const program of running.splice(0)) await program.stop();
  for (const at of places.splice(0)) at.directory.remove();
});

async function start(args: readonly string[]): Promise<{ at: Place; program: Program }> {
  const at = await place();
  places.push(at);
  // The service runs as another user if that user can read the checkout.
  chmodSync(at.directory.path, 0o711);
  const program = startScript('start', args, {
    WHODUNIT_SOCKET: at.socket,
    WHODUNIT_PIN_DIR: at.pinDir,
    WHODUNIT_HEALTH_ADDR: at.health,
    WHODUNIT_REPORT: 'all',
  });
  running.push(program);
  await until('readyz', READY_WITHIN_MS, () => answers(`http://${at.health}/readyz`), program.output);
  await until('its last line', REPORT_WITHIN_MS, () => /whodunit is running/.test(program.output()) || undefined);
  return { at, program };
}

/** The pids of the children that run the given program. */
function childrenRunning(parent: number, what: string): number[] {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ').map(Number);
  return children.filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(what));
}

describe('npm start', () => {
  it('prints a record as JSON with --output json; Ctrl-C stops both programs cleanly, without leaving pins or socket', async () => {
    const { at, program } = await start(['--output', 'json']);
    const victim = startProgram(MORTAL, ['exit', '42']);
    await victim.ended;
    const line = await until(
      'the report',
      REPORT_WITHIN_MS,
      () =>
        program
          .stdout()
          .split('\n')
          .find((text) => text.includes(`"process.pid":${victim.pid},`)),
      program.output,
    );
    expect(JSON.parse(line).attributes).toMatchObject({ 'whodunit.cause': 'exit', 'process.exit.code': 42 });
    program.child.kill('SIGINT');
    expect(await program.ended, program.output()).toEqual({ code: 0, signal: null });
    expect(existsSync(at.pinDir)).toBe(false);
    expect(existsSync(at.socket)).toBe(false);
  });

  it.each([
    ['loader', 'whodunit-loader'],
    ['service', 'dist/main.js'],
  ])('stops with a message when the %s terminates', async (name, what) => {
    const { at, program } = await start([]);
    const [pid] = childrenRunning(program.pid, what);
    process.kill(pid as number, 'SIGKILL');
    expect(await program.ended, program.output()).toEqual({ code: 1, signal: null });
    expect(program.output()).toContain(`the ${name} ended with SIGKILL`);
    // A killed loader cannot remove its pins: the next one takes them over.
    if (name === 'loader') {
      const unload = startProgram(`${ROOT}/build/whodunit-loader`, ['unload', '--pin-dir', at.pinDir]);
      expect(await unload.ended, unload.output()).toEqual({ code: 0, signal: null });
    }
    expect(existsSync(at.pinDir)).toBe(false);
  });
});

describe('npm run demo', () => {
  it('shows six right reports and exits with 0', async () => {
    const demo = startScript('demo', []);
    running.push(demo);
    await until('its end', DEMO_WITHIN_MS, () => !demo.alive() || undefined, demo.output);
    expect(await demo.ended, demo.output()).toEqual({ code: 0, signal: null });
    expect(demo.stdout()).toContain('All 6 reports were right');
    expect(demo.stdout()).not.toContain('WRONG');
  });
});
