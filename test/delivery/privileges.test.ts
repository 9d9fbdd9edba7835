// SPDX-License-Identifier: Apache-2.0
// Tests the privileges of the loader: it works with the capabilities that every deployment grants, and each of them is necessary.
// docs/deployment.md has the table.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { LOADER, type Program, ROOT, startProgram, until } from '../../scripts/stack/program.ts';
import { loaderArgs, type Place, place } from '../../scripts/stack/whodunit.ts';

const ALL = ['bpf', 'perfmon', 'syslog'];
const READY_WITHIN_MS = 60_000;

const running: { loader: Program; at: Place }[] = [];

afterEach(async () => {
  for (const { loader, at } of running.splice(0)) {
    await loader.stop();
    spawnSync(LOADER, ['unload', '--pin-dir', at.pinDir]);
    at.directory.remove();
  }
});

/** Starts the loader as root with only these capabilities, in a new network namespace. Waits until it is ready or has exited. */
async function startWith(capabilities: readonly string[]): Promise<Program> {
  const at = await place();
  const bounding = ['-all', ...capabilities.map((name) => `+${name}`)].join(',');
  const confined = [`--bounding-set=${bounding}`, '--inh-caps=-all', '--no-new-privs', '--', LOADER];
  const loader = startProgram('unshare', ['--net', 'setpriv', ...confined, ...loaderArgs(at)]);
  running.push({ loader, at });
  const settled = () => /\bready\b/.test(loader.output()) || !loader.alive() || undefined;
  await until('the loader is ready or has exited', READY_WITHIN_MS, settled, loader.output);
  return loader;
}

describe('the loader', () => {
  it(`needs only ${ALL.join(', ')}, and drops them after the start`, async () => {
    const loader = await startWith(ALL);
    expect(loader.output()).toMatch(/^whodunit-loader: attached the probes, [^\n]*\n$/);
    expect(readFileSync(`/proc/${loader.pid}/status`, 'utf8')).toMatch(/^CapPrm:\t0+\nCapEff:\t0+$/m);
  });

  it.each([
    ['bpf', /needs root \(or CAP_BPF and CAP_PERFMON/],
    ['perfmon', /needs root \(or CAP_BPF and CAP_PERFMON/],
    ['syslog', /no kernel function names: .*CAP_SYSLOG[^\n]*\n.*\bready\b/],
  ])('reports what is missing without %s', async (missing, message) => {
    const loader = await startWith(ALL.filter((name) => name !== missing));
    expect(loader.output()).toMatch(message);
  });
});

it('every deployment grants these, and no others', () => {
  const read = (name: string) => readFileSync(join(ROOT, name), 'utf8');
  expect(read('examples/systemd/whodunit-loader.service')).toMatch(
    /^CapabilityBoundingSet=CAP_BPF CAP_PERFMON CAP_SYSLOG$/m,
  );
  // docker-compose.yml and the manifests are read by compose.test.ts and kubernetes.test.ts.
  const table = [...read('docs/deployment.md').matchAll(/^\| `CAP_(\w+)`/gm)].map(([, name]) => name?.toLowerCase());
  expect(table).toEqual(ALL);
});
