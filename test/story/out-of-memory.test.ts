// SPDX-License-Identifier: Apache-2.0
// Nested memory limits: the inner cgroup has more than the outer one. One process holds memory, another one asks for more, and the first
// is killed for it.
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { limitedCgroup } from '../../scripts/stack/memory-cgroup.ts';
import { startProgram, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';

const REPORTED_WITHIN_MS = 90_000;
const MIB = 1024 * 1024;
const both = watched();

/** Holds what head(1) writes, since there is no newline in it. */
const HOLD =
  'echo $$ >"$0/cgroup.procs"; (head -c "$1" /dev/zero; echo held >&2; sleep 60) | exec tail -n 1 >/dev/null';

it('names who asked for more, the outer limit, and the sizes', async () => {
  const name = `whodunit-oom-${process.pid}`;
  const outer = limitedCgroup(name, 64 * MIB);
  const inner = join(outer.directory, 'inner');
  mkdirSync(inner);
  // It is chosen, also if the other one is larger.
  const holds = startProgram('choom', ['-n', '1000', '--', 'sh', '-c', HOLD, inner, String(40 * MIB)]);
  await until('the memory is held', REPORTED_WITHIN_MS, () => /held/.test(holds.output()) || undefined);
  const asks = startProgram('sh', ['-c', HOLD, outer.directory, String(50 * MIB)]);
  try {
    const record = await until(
      'the record',
      REPORTED_WITHIN_MS,
      () =>
        both.collector
          .logs()
          .find(
            ({ attributes, resource }) =>
              attributes['whodunit.cause'] === 'oom_kill' && String(resource['process.linux.cgroup']).includes(name),
          ),
      both.whodunit.service.output,
    );
    expect(record.body).toMatch(
      new RegExp(
        `^tail \\(pid \\d+\\) was killed by the out-of-memory killer after .*: cgroup /${name} reached its limit of 64 MiB, when (tail|head|sh) \\(pid \\d+, root.*\\).* asked for more; it had [\\d.]+ MiB\\.$`,
      ),
    );
    expect(record.attributes).toMatchObject({ 'whodunit.oom.group': false, 'whodunit.oom.limit': 64 * MIB });
    expect(record.attributes['whodunit.evidence']).toContain(
      `the limit is that of a cgroup above its own, /${name}/inner`,
    );
  } finally {
    for (const { child } of [holds, asks]) child.kill('SIGKILL');
    await until('the processes are gone', REPORTED_WITHIN_MS, () => removed(inner));
    await outer.remove();
  }
});

function removed(directory: string): true | undefined {
  try {
    rmdirSync(directory);
    return true;
  } catch {
    return undefined;
  }
}
