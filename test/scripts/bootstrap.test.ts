// SPDX-License-Identifier: Apache-2.0
// The bootstrap in a temporary directory, with fake go and npm programs.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ROOT } from '../../scripts/paths.ts';

const LOCK = { packages: { '': {}, 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '2.0.0' } } };

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'whodunit-test-'));
  for (const name of ['scripts', 'programs', 'node_modules/.bin'])
    mkdirSync(join(directory, name), { recursive: true });
  copyFileSync(join(ROOT, 'scripts/bootstrap.mjs'), join(directory, 'scripts/bootstrap.mjs'));
  writeFileSync(join(directory, 'go.mod'), 'module whodunit\n\ngo 1.26.0\n');
  writeFileSync(join(directory, 'package-lock.json'), JSON.stringify(LOCK));
  program('go', 'echo go1.26.1');
  program('npm', 'echo "npm $@"');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function program(name: string, body: string): void {
  const path = join(directory, 'programs', name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
}

function installed(lock: typeof LOCK): void {
  writeFileSync(join(directory, 'node_modules/.bin/node'), '');
  writeFileSync(join(directory, 'node_modules/.package-lock.json'), JSON.stringify(lock));
}

function bootstrap(): { code: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(directory, 'scripts/bootstrap.mjs')], {
    env: { PATH: join(directory, 'programs') },
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
  return { code: status, output: stderr };
}

describe('the bootstrap', () => {
  it('prints nothing if everything is installed', () => {
    installed(LOCK);
    expect(bootstrap()).toEqual({ code: 0, output: '' });
  });

  it('installs if nothing is installed, or if a version differs', () => {
    expect(bootstrap()).toEqual({ code: 0, output: expect.stringContaining('npm ci') });
    installed({ packages: { ...LOCK.packages, 'node_modules/b': { version: '1.9.0' } } });
    expect(bootstrap()).toEqual({ code: 0, output: expect.stringContaining('npm ci') });
  });

  it('fails if npm fails', () => {
    program('npm', 'exit 1');
    expect(bootstrap()).toEqual({ code: 1, output: expect.stringContaining('`npm ci` failed') });
  });

  it('names the required Go version if there is none', () => {
    rmSync(join(directory, 'programs/go'));
    expect(bootstrap()).toEqual({ code: 1, output: expect.stringContaining('Go 1.26.0 or newer is needed') });
  });

  it('names the required Go version if it is older', () => {
    program('go', 'echo go1.9.7');
    expect(bootstrap()).toEqual({
      code: 1,
      output: expect.stringContaining('Go 1.26.0 or newer is needed, this is go1.9.7'),
    });
  });
});
