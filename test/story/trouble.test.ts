// SPDX-License-Identifier: Apache-2.0
// Operational errors: each has a message that names the thing and the remedy, and the right exit code.
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

/** Waits for a program that must fail, and returns its exit code and output. */
async function failure(program: Program): Promise<{ code: number | null; output: string }> {
  keep(program);
  await until('its end', ENDS_WITHIN_MS, () => !program.alive() || undefined, program.output);
  return { code: (await program.ended).code, output: program.output() };
}

describe('the service', () => {
  it('without a loader, it logs the socket, retries, and is ready when the loader starts', async () => {
    const at = await newPlace();
    const service = keep(startService(at));
    await until(
      'the message about the socket',
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

  it('a wrong OTEL_EXPORTER_OTLP_PROTOCOL is a configuration error that names key, value and allowed values', async () => {
    const { code, output } = await failure(startService(await newPlace(), { OTEL_EXPORTER_OTLP_PROTOCOL: 'pigeon' }));
    expect(code, output).toBe(CONFIGURATION_ERROR);
    expect(output).toMatch(/OTEL_EXPORTER_OTLP_PROTOCOL/);
    expect(output).toMatch(/pigeon/);
    expect(output).toMatch(/http\/protobuf/);
  });

  it('a health port in use is an error that names the port and the variable', async () => {
    const at = await newPlace();
    const [, port] = at.health.split(':');
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(Number(port), '127.0.0.1', resolve));
    try {
      const { code, output } = await failure(startService(at));
      expect(code, output).not.toBe(0);
      expect(output).toContain(String(port));
      expect(output).toContain('WHODUNIT_HEALTH_ADDR');
    } finally {
      other.close();
    }
  });

  it('a second service logs that another one is connected', async () => {
    const at = await newPlace();
    keep(await startLoader(at));
    const first = keep(startService(at));
    await until('readyz of the first', MESSAGE_WITHIN_MS, () => answers(`http://${at.health}/readyz`), first.output);
    const elsewhere = { ...at, health: (await newPlace()).health };
    const second = keep(startService(elsewhere));
    await until(
      'the message about the other one',
      MESSAGE_WITHIN_MS,
      () => /consumer/i.test(second.output()) || undefined,
      second.output,
    );
    expect(await answers(`http://${elsewhere.health}/readyz`)).toBe(undefined);
    expect(await answers(`http://${at.health}/readyz`)).toBe(true);
  });
});

describe('the loader', () => {
  it('refuses a socket path that another loader serves', async () => {
    const at = await newPlace();
    keep(await startLoader(at));
    const second = { ...at, pinDir: (await newPlace()).pinDir };
    const { code, output } = await failure(startProgram(LOADER, loaderArgs(second)));
    expect(code, output).not.toBe(0);
    expect(output).toContain(at.socket);
    expect(existsSync(second.pinDir)).toBe(false);
  });

  it('refuses a socket path that is another kind of file, and does not change that file', async () => {
    const at = await newPlace();
    writeFileSync(at.socket, 'precious');
    const { code, output } = await failure(startProgram(LOADER, loaderArgs(at)));
    expect(code, output).not.toBe(0);
    expect(output).toContain(at.socket);
    expect(existsSync(at.socket)).toBe(true);
  });

  it('takes over the socket of a killed loader', async () => {
    const at = await newPlace();
    const listen = `require('net').createServer().listen('${at.socket}', () => console.log('listens'))`;
    const killed = keep(startProgram(process.execPath, ['-e', listen]));
    await until('the other socket', MESSAGE_WITHIN_MS, () => killed.stdout().includes('listens') || undefined);
    killed.child.kill('SIGKILL'); // it cannot remove its socket
    await killed.ended;
    expect(existsSync(at.socket)).toBe(true);
    keep(await startLoader(at));
  });

  it('refuses a second loader on the same pins', async () => {
    const at = await newPlace();
    keep(await startLoader(at));
    const { code, output } = await failure(startProgram(LOADER, loaderArgs({ ...at, socket: `${at.socket}.2` })));
    expect(code, output).not.toBe(0);
    expect(output).toContain(at.pinDir);
  });

  it('refuses pins of another version, and names the command that removes them', async () => {
    const at = await newPlace();
    mkdirSync(join(at.pinDir, 'v999'), { recursive: true });
    const { code, output } = await failure(startProgram(LOADER, loaderArgs(at)));
    expect(code, output).not.toBe(0);
    expect(output).toContain(at.pinDir);
    expect(output).toContain('unload');
  });

  it('as an unprivileged user, it names what is missing', async () => {
    const at = await newPlace();
    const { code, output } = await failure(
      startProgram('setpriv', ['--reuid=65534', '--clear-groups', '--', LOADER, ...loaderArgs(at)]),
    );
    expect(code, output).not.toBe(0);
    expect(output).toMatch(/root|CAP_BPF/);
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
