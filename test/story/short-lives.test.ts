// SPDX-License-Identifier: Apache-2.0
// Ten thousand processes with a lifetime of about a millisecond: every record has the complete identity. Reading /proc would be too late.
import { realpathSync } from 'node:fs';
import { expect, it } from 'vitest';
import { isTermination } from '../../scripts/stack/otlp-file.ts';
import { startProgram, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';

const LIVES = 10_000;
const REPORTED_WITHIN_MS = 60_000;
const SERVICE = `short-lifetimes-${process.pid}`;
const SHELL = 'i=0; while [ $i -lt $0 ]; do /bin/false $i; i=$((i+1)); done';

const both = watched();

it('10,000 of 10,000 are reported with service, executable, arguments, parent, user and cgroup', async () => {
  const shell = startProgram('sh', ['-c', SHELL, String(LIVES)], {
    env: { ...process.env, OTEL_SERVICE_NAME: SERVICE },
  });
  expect(await shell.ended).toMatchObject({ code: 0 });
  const records = () =>
    both.collector
      .logs()
      .filter((record) => isTermination(record) && record.resource['process.parent_pid'] === shell.pid);
  await until(
    'all records',
    REPORTED_WITHIN_MS,
    () => records().length >= LIVES || undefined,
    () => `${records().length} records\n${both.whodunit.service.output()}`,
  );

  const reported = records();
  const cgroups = new Set(reported.map(({ resource }) => resource['process.linux.cgroup']));
  expect([...cgroups]).toEqual([expect.stringMatching(/^\//)]);
  const executable = realpathSync('/bin/false');
  const incomplete = reported.filter(
    ({ resource }) =>
      resource['service.name'] !== SERVICE ||
      resource['process.executable.path'] !== executable ||
      resource['process.command'] !== '/bin/false' ||
      resource['process.args_count'] !== 2 ||
      resource['process.user.id'] !== process.getuid?.(),
  );
  expect(incomplete.map(({ resource }) => resource)).toEqual([]);
  const numbers = reported.map(({ resource }) => Number((resource['process.command_args'] as readonly string[])[1]));
  expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: LIVES }, (_, i) => i));

  const lifetimes = reported
    .map(({ attributes }) => Number(attributes['whodunit.process.uptime']))
    .sort((a, b) => a - b);
  console.log(
    `median lifetime ${((lifetimes[LIVES / 2] ?? 0) * 1000).toFixed(2)} ms, shortest ${((lifetimes[0] ?? 0) * 1000).toFixed(2)} ms`,
  );
});
