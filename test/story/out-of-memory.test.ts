// SPDX-License-Identifier: Apache-2.0
// Nested memory limits: the inner cgroup has more than the outer one. One process holds memory, another one asks for more, and the first
// is killed for it. And a child in a container, which lives on.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { limitedCgroup } from '../../scripts/stack/memory-cgroup.ts';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { type Program, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';

const REPORTED_WITHIN_MS = 90_000;
const MIB = 1024 * 1024;
/** Other programs of the machine are not watched. */
const name = `whodunit-oom-${process.pid}`;
const scope = limitedCgroup(name, 1024 * MIB);
const both = watched({}, { WHODUNIT_SCOPE: `/${name}` });
afterAll(() => scope.remove());

/** dd(1) has filled its buffer before it writes the first byte of it, and asks for no more. */
const HOLD =
  'echo $$ >"$0/cgroup.procs"; dd if=/dev/zero bs="$1" count=1 status=none | { head -c 1 >/dev/null; echo held >&2; sleep 60; }';

/** Kills in the same cgroup until all of one was read: what is not read within 100 ms, on a busy machine, is missing in the record. */
const ATTEMPTS = 10;

interface Explained {
  readonly record: LogRecord;
  readonly evidence: readonly string[];
}

/** `kill`: brings a kill about, and returns what it started. */
async function explained(cgroup: string, kill: () => Promise<readonly Program[]>): Promise<Explained> {
  for (let attempt = 1; ; attempt += 1) {
    const before = killsIn(cgroup).length;
    const started = await kill();
    const record = await until(
      'the record',
      REPORTED_WITHIN_MS,
      () => killsIn(cgroup)[before],
      both.whodunit.service.output,
    );
    await end(...started);
    const evidence = record.attributes['whodunit.evidence'] as string[];
    if (record.attributes['whodunit.oom.consumers_complete'] === true || attempt === ATTEMPTS)
      return { record, evidence };
  }
}

const killsIn = (cgroup: string): LogRecord[] =>
  both.collector
    .logs()
    .filter(
      ({ attributes, resource }) =>
        attributes['whodunit.cause'] === 'oom_kill' && resource['process.linux.cgroup'] === `/${name}${cgroup}`,
    );

/** With what they started. */
async function end(...programs: readonly Program[]): Promise<void> {
  for (const { child } of programs)
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {} // all of them ended
  await Promise.all(programs.map(({ ended }) => ended));
}

it('names who asked for more, the outer limit, the sizes, and who used the memory', async () => {
  const outer = limitedCgroup(`${name}/outer`, 64 * MIB);
  const inner = limitedCgroup(`${name}/outer/inner`, 128 * MIB);
  const other = limitedCgroup(`${name}/outer/other`, 128 * MIB);
  const tmpfs = temporaryDirectory().path;
  spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', tmpfs]);
  const fill = startProgram('sh', [
    '-c',
    'echo $$ >"$0/cgroup.procs"; head -c "$1" /dev/zero >"$2"',
    other.directory,
    String(8 * MIB),
    join(tmpfs, 'full'),
  ]);
  await fill.ended;
  const neighbour = startProgram('sh', ['-c', HOLD, inner.directory, String(12 * MIB)], { detached: true });
  await until('the neighbour holds memory', REPORTED_WITHIN_MS, () => /held/.test(neighbour.output()) || undefined);
  try {
    const { record, evidence } = await explained('/outer/inner', async () => {
      const killed = kills(inner.directory);
      // It is chosen, also if the other one is larger.
      const holds = startProgram('choom', ['-n', '1000', '--', 'sh', '-c', HOLD, inner.directory, String(30 * MIB)], {
        detached: true,
      });
      await until('the memory is held', REPORTED_WITHIN_MS, () => /held/.test(holds.output()) || undefined);
      const asks = startProgram('sh', ['-c', HOLD, other.directory, String(28 * MIB)], { detached: true });
      await until('the kill', REPORTED_WITHIN_MS, () => kills(inner.directory) > killed || undefined);
      return [holds, asks];
    });
    expect(record.body).toMatch(
      new RegExp(
        `^dd \\(pid \\d+\\) was killed by the out-of-memory killer after .*: cgroup /${name}/outer reached its limit of 64 MiB, when dd \\(pid \\d+, root.*\\).* asked for more; it had [\\d.]+ MiB; dd \\(pid \\d+\\) had [\\d.]+ MiB.*, tmpfs and shared memory [\\d.]+ MiB\\.$`,
      ),
    );
    expect(record.attributes).toMatchObject({
      'whodunit.oom.group': false,
      'whodunit.oom.limit': 64 * MIB,
      'whodunit.oom.own_limit': 128 * MIB,
      'whodunit.oom.consumers': expect.arrayContaining([expect.stringMatching(/^dd \(pid \d+\): 1[0-9.]+ MiB$/)]),
    });
    expect(record.attributes['whodunit.oom.cgroup.shmem']).toBeGreaterThanOrEqual(8 * MIB);
    expect(record.attributes['whodunit.oom.cgroup.peak']).toBeGreaterThan(60 * MIB);
    expect(evidence.join('\n')).toMatch(/^since .* was made: .*processes killed for it: \d+$/m);
    expect(evidence).toContain(`the limit is that of a cgroup above its own, /${name}/outer/inner`);
    expect(evidence).toContain(`the limit of its own cgroup, /${name}/outer/inner, is 128 MiB`);
  } finally {
    await end(neighbour);
    spawnSync('umount', [tmpfs]);
    for (const cgroup of [inner, other, outer]) await cgroup.remove();
  }
});

it('says that the first process of the container lives on', async () => {
  const limited = limitedCgroup(`${name}/container`, 32 * MIB);
  const child = 'choom -n 1000 -- head -c 100000000 /dev/zero | choom -n 1000 -- tail; echo lives; exec sleep 1000';
  const script = `echo $$ >"$0/cgroup.procs"; exec unshare --pid --fork --mount-proc --kill-child sh -c '${child}'`;
  try {
    const { record, evidence } = await explained('/container', async () => {
      const container = startProgram('sh', ['-c', script, limited.directory], { detached: true });
      await until('the kill', REPORTED_WITHIN_MS, () => /lives/.test(container.output()) || undefined);
      return [container];
    });
    expect(record.resource['process.vpid']).toBeGreaterThan(1);
    expect(record.attributes['whodunit.oom.init_lives']).toBe(true);
    expect(evidence.join('\n')).toMatch(/^PID 1 of its pid namespace, (sh|sleep|dash) \(pid \d+\), lives on$/m);
  } finally {
    await limited.remove();
  }
});

/** Processes of the cgroup that were killed for lack of memory. */
function kills(directory: string): number {
  for (const file of ['memory.oom_control', 'memory.events'])
    try {
      return Number(/^oom_kill (\d+)$/m.exec(readFileSync(join(directory, file), 'utf8'))?.[1]);
    } catch {}
  return 0;
}
