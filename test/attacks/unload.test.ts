// SPDX-License-Identifier: Apache-2.0
// `unload` and `--unload-on-exit` are pointed at what is not whodunit's: they remove whodunit's own pins, and nothing else.
import { existsSync, linkSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { LOADER, type Program, startProgram, temporaryDirectory } from '../../scripts/stack/program.ts';
import { loaderStatus, type Place, place, startLoader } from '../../scripts/stack/whodunit.ts';

const CONFIG = 78; // EX_CONFIG of sysexits.h
const UNAVAILABLE = 69; // EX_UNAVAILABLE

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

async function newPlace(): Promise<Place> {
  const at = await place();
  cleanUp.push(() => at.directory.remove());
  cleanUp.push(() => rmSync(at.pinDir, { recursive: true, force: true }));
  return at;
}

async function started(at: Place): Promise<Program> {
  const loader = await startLoader(at);
  cleanUp.push(loader.stop);
  return loader;
}

async function unload(pinDir: string): Promise<{ code: number | null; output: string }> {
  const program = startProgram(LOADER, ['unload', '--pin-dir', pinDir]);
  const { code } = await program.ended;
  return { code, output: program.output() };
}

/** Everything below a directory, as relative paths. */
const below = (directory: string) => readdirSync(directory, { recursive: true }).sort();

/** Returns the directory with the loader's pins. */
function versionOf({ pinDir }: Place): string {
  const entries = readdirSync(pinDir, { withFileTypes: true });
  return join(pinDir, entries.find((entry) => entry.isDirectory() && /^v\d+$/.test(entry.name))?.name ?? '');
}

/** Pins objects under names that another program chose, in every place where `unload` comes along. Returns their paths. */
function pinOthers(at: Place): string[] {
  const version = versionOf(at);
  const others = [
    join(at.pinDir, 'events'),
    join(at.pinDir, 'cilium', 'events'),
    join(version, 'their_map'),
    join(version, 'on_signal_generate-theirs'),
    join(version, 'events_old', 'events'),
  ];
  mkdirSync(join(at.pinDir, 'cilium'));
  mkdirSync(join(version, 'events_old'));
  for (const path of others) linkSync(join(version, 'events'), path);
  symlinkSync(join(at.pinDir, 'cilium'), join(at.pinDir, 'v4'));
  return [...others, join(at.pinDir, 'v4')];
}

/** What a message names of these. */
function namesOf(at: Place): string[] {
  const version = basename(versionOf(at));
  return ['events', 'cilium', 'v4', `${version}/their_map`, `${version}/events_old`];
}

describe('whodunit-loader unload', () => {
  it('removes nothing from an ordinary directory', async () => {
    const { path, remove } = temporaryDirectory();
    cleanUp.push(remove);
    mkdirSync(join(path, 'v6'));
    for (const name of ['letter', 'v6/events', 'v6/letter']) writeFileSync(join(path, name), 'mine');
    const before = below(path);
    const { code, output } = await unload(path);
    expect(existsSync(path) ? below(path) : []).toEqual(before);
    expect(code).toBe(CONFIG);
    expect(output).toContain(`${path} is not on a BPF file system`);
  });

  it('removes its own pins only, and names the rest', async () => {
    const at = await newPlace();
    const loader = await started(at);
    loader.child.kill('SIGKILL');
    await loader.ended;
    const others = pinOthers(at);
    const { code, output } = await unload(at.pinDir);
    expect(others.filter((path) => !existsSync(path))).toEqual([]);
    expect(below(versionOf(at))).toEqual(['events_old', 'events_old/events', 'on_signal_generate-theirs', 'their_map']);
    expect(code).toBe(UNAVAILABLE);
    expect(output).toMatch(/removed \d+ pins/);
    for (const name of namesOf(at)) expect(output).toContain(`"${name}"`);
  });

  it('removes nothing while a loader runs', async () => {
    const at = await newPlace();
    await started(at);
    const before = below(at.pinDir);
    const { code, output } = await unload(at.pinDir);
    expect(existsSync(at.pinDir) ? below(at.pinDir) : []).toEqual(before);
    expect(code).toBe(UNAVAILABLE);
    expect(output).toContain('another whodunit-loader uses');
    expect((await loaderStatus(at.socket)).lost).toMatchObject({ ring_full: '0' });
  });
});

describe('whodunit-loader run --unload-on-exit', () => {
  it('removes its own pins only, and names the rest', async () => {
    const at = await newPlace();
    const loader = await started(at);
    const others = pinOthers(at);
    const { code } = await loader.stop();
    expect(others.filter((path) => !existsSync(path))).toEqual([]);
    expect(code).toBe(UNAVAILABLE);
    for (const name of namesOf(at)) expect(loader.output()).toContain(`"${name}"`);
  });
});
