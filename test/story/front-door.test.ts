// SPDX-License-Identifier: Apache-2.0
// The first commands of a user: `npm start` and `npm run demo`, with the command lines from package.json.
import { existsSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { MORTAL, type Program, startProgram, until } from '../../scripts/stack/program.ts';
import { type Place, place } from '../../scripts/stack/whodunit.ts';
import { childRunning, LOADER_NAME, npmStart, ready, SERVICE_NAME, startScript } from '../support/front-door.ts';

const REPORT_WITHIN_MS = 60_000;
const DEMO_WITHIN_MS = 90_000;

const running: Program[] = [];
const places: Place[] = [];

afterEach(async () => {
  for (const program of running.splice(0)) await program.stop();
  for (const at of places.splice(0)) at.directory.remove();
});

async function start(args: readonly string[]): Promise<{ at: Place; program: Program }> {
  const at = await place();
  places.push(at);
  const program = await npmStart(at, args);
  running.push(program);
  await ready(at, program.output);
  return { at, program };
}

/** Waits for the JSON record of the process among those that `npm start` printed. */
async function record(program: Program, pid: number): Promise<{ attributes: unknown }> {
  const find = () =>
    program
      .stdout()
      .split('\n')
      .slice(0, -1)
      .find((text) => text.includes(`"process.pid":${pid},`));
  return JSON.parse(await until('the report', REPORT_WITHIN_MS, find, program.output));
}

describe('npm start', () => {
  it('prints a record as JSON with --output json; Ctrl-C stops both programs cleanly, without leaving pins or socket', async () => {
    const { at, program } = await start(['--output', 'json']);
    const victim = startProgram(MORTAL, ['exit', '42']);
    await victim.ended;
    const { attributes } = await record(program, victim.pid);
    expect(attributes).toMatchObject({ 'whodunit.cause': 'exit', 'process.exit.code': 42 });
    program.child.kill('SIGINT');
    expect(await program.ended, program.output()).toEqual({ code: 0, signal: null });
    expect(existsSync(at.pinDir)).toBe(false);
    expect(existsSync(at.socket)).toBe(false);
  });

  it.each([
    ['loader', LOADER_NAME],
    ['service', SERVICE_NAME],
  ])(
    'starts the %s again with a message when it terminates, and reports what terminated meanwhile',
    async (name, what) => {
      const { at, program } = await start(['--output', 'json']);
      process.kill(await childRunning(program.pid, what), 'SIGKILL');
      const victim = startProgram(MORTAL, ['exit', '42']);
      await victim.ended;
      await record(program, victim.pid);
      expect(program.output()).toContain(`the ${name} ended with SIGKILL: starting it again in 0.2 s.`);
      program.child.kill('SIGINT');
      expect(await program.ended, program.output()).toEqual({ code: 0, signal: null });
      expect(existsSync(at.pinDir)).toBe(false);
    },
  );
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
