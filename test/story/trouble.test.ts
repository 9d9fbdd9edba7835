// SPDX-License-Identifier: Apache-2.0
// What goes wrong at the edges: each ends in a sentence that names the thing and the remedy, and in the right exit code.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { answers } from '../../scripts/stack/collector.ts';
import { LOADER, type Program, startProgram, until } from '../../scripts/stack/program.ts';
import { loaderArgs, type Place, place, startLoader, startService } from '../../scripts/stack/whodunit.ts';

const MESSAGE_WITHIN_MS = 60_000;
const ENDS_WITHIN_MS = 60_000;
const CONFIGURATION_ERROR = 78; // EX_CONFIG of sysexits.h

const running: Program[] = [];
const places: Place[] = [];

afterEach(async () => {
  for (const program of running.splice(0).reverse()) await program.stop();
  for (const at of places.splice(0)) {
    at.directory.remove();
    if (at.pinDir.startsWith('/sys/fs/bpf/whodunit-test-')) rmSync(at.pinDir, { recursive: true, force: true });
  }
});

async function newPlace(): Promise<Place> {
  const at = await place();
  places.push(at);
  return at;
}

function keep(program: Program): Program {
  running.push(program);
  return program;
}

/** Waits for the end of a program that must fail, and returns its exit code and what it said. */
async function failure(program: Program): Promise<{ code: number | null; said: string }> {
  keep(program);
  await until('its end', ENDS_WITHIN_MS, () => !program.alive() || undefined, program.output);
  return { code: (await program.ended).code, said: program.output() };
}

describe('the service', () => {
  it('without a loader it says so, names the socket, tries again, and is ready when the loader comes', async () => {
    const at = await newPlace();
    const service = keep(startService(at));
    await until(
      'a word about the socket',
      MESSAGE_WITHIN_MS,
      () => service.output().includes(at.socket) || undefined,
      service.output,
    );
    expect(service.alive()).toBe(true);
    expect(await answers(`http://${at.health}/livez`)).toBe(true);
    expect(await answers(`http://${at.health}/readyz`)).toBe(undefined);
    keep(await startLoader(at));
    await until('readyz', MESSAGE_WITHIN_MS, () => answers(`http://${at.health}/readyz`), service.output);
    expect(await service.stop()).toMatchObject({ code: 0 });
  });

  it('a wrong OTEL_EXPORTER_OTLP_PROTOCOL is a configuration error that names key, value and what is allowed', async () => {
    const { code, said } = await failure(startService(await newPlace(), { OTEL_EXPORTER_OTLP_PROTOCOL: 'pigeon' }));
    expect(code, said).toBe(CONFIGURATION_ERROR);
    expect(said).toMatch(/OTEL_EXPORTER_OTLP_PROTOCOL/);
    expect(said).toMatch(/pigeon/);
    expect(said).toMatch(/http\/protobuf/);
  });

  it('a health port that is taken is named, with the variable that changes it', async () => {
    const at = await newPlace();
    const [, port] = at.health.split(':');
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(Number(port), '127.0.0.1', resolve));
    try {
      const { code, said } = await failure(startService(at));
      expect(code, said).not.toBe(0);
      expect(said).toContain(String(port));
      expect(said).toContain('WHODUNIT_HEALTH_ADDR');
    } finally {
      other.close();
    }
  });

  it('a second service learns that there is one already', async () => {
    const at = await newPlace();
    keep(await startLoader(at));
    const first = keep(startService(at));
    await until('readyz of the first', MESSAGE_WITHIN_MS, () => answers(`http://${at.health}/readyz`), first.output);
    const elsewhere = { ...at, health: (await newPlace()).health };
    const second = keep(startService(elsewhere));
    await until(
      'a word about the other one',
      MESSAGE_WITHIN_MS,
      () => /consumer/i.test(second.output()) || undefined,
      second.output,
    );
    expect(await answers(`http://${elsewhere.health}/readyz`)).toBe(undefined);
    expect(await answers(`http://${at.health}/readyz`)).toBe(true);
  });
});

describe('the loader', () => {
  it('refuses a socket path on which another one answers', async () => {
    const at = await newPlace();
    keep(await startLoader(at));
    const second = { ...at, pinDir: (await newPlace()).pinDir };
    const { code, said } = await failure(startProgram(LOADER, loaderArgs(second)));
    expect(code, said).not.toBe(0);
    expect(said).toContain(at.socket);
    expect(existsSync(second.pinDir)).toBe(false);
  });

  it('refuses a socket path that is some other file, and leaves that file alone', async () => {
    const at = await newPlace();
    writeFileSync(at.socket, 'precious');
    const { code, said } = await failure(startProgram(LOADER, loaderArgs(at)));
    expect(code, said).not.toBe(0);
    expect(said).toContain(at.socket);
    expect(existsSync(at.socket)).toBe(true);
  });

  it('takes over a socket that a dead loader has left', async () => {
    const at = await newPlace();
    const listen = `require('net').createServer().listen('${at.socket}', () => console.log('listens'))`;
    const dead = keep(startProgram(process.execPath, ['-e', listen]));
    await until('the other socket', MESSAGE_WITHIN_MS, () => dead.stdout().includes('listens') || undefined);
    dead.child.kill('SIGKILL'); // it cannot remove its socket
    await dead.ended;
    expect(existsSync(at.socket)).toBe(true);
    keep(await startLoader(at));
  });

  it('refuses a second loader on the same pins', async () => {
    const at = await newPlace();
    keep(await startLoader(at));
    const { code, said } = await failure(startProgram(LOADER, loaderArgs({ ...at, socket: `${at.socket}.2` })));
    expect(code, said).not.toBe(0);
    expect(said).toContain(at.pinDir);
  });

  it('refuses pins of another version, and says how to remove them', async () => {
    const at = await newPlace();
    mkdirSync(join(at.pinDir, 'v999'), { recursive: true });
    const { code, said } = await failure(startProgram(LOADER, loaderArgs(at)));
    expect(code, said).not.toBe(0);
    expect(said).toContain(at.pinDir);
    expect(said).toContain('unload');
  });

  it('as an ordinary user it says what it lacks', async () => {
    const at = await newPlace();
    const { code, said } = await failure(
      startProgram('setpriv', ['--reuid=65534', '--clear-groups', '--', LOADER, ...loaderArgs(at)]),
    );
    expect(code, said).not.toBe(0);
    expect(said).toMatch(/root|CAP_BPF/);
  });

  it('keeps its pins without --unload-on-exit, and `unload` removes them', async () => {
    const at = await newPlace();
    const loader = keep(
      startProgram(
        LOADER,
        loaderArgs(at).filter((arg) => arg !== '--unload-on-exit'),
      ),
    );
    await until(
      'the loader is ready',
      MESSAGE_WITHIN_MS,
      () => /\bready\b/.test(loader.output()) || undefined,
      loader.output,
    );
    await loader.stop();
    expect(existsSync(at.pinDir)).toBe(true);
    const unload = startProgram(LOADER, ['unload', '--pin-dir', at.pinDir]);
    expect(await unload.ended, unload.output()).toEqual({ code: 0, signal: null });
    expect(existsSync(at.pinDir)).toBe(false);
  });
});
