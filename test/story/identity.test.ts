// SPDX-License-Identifier: Apache-2.0
// Identity from the memory of the victim: the published context, which has precedence over variables, and the build id of the executable,
// compared with binutils.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { MORTAL, ROOT, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { GO_JOB, NODE_JOB, PYTHON_JOB } from '../support/jobs.ts';
import { watched } from '../support/watched.ts';

const REPORTED_WITHIN_MS = 60_000;
const [PYTHON = ''] = PYTHON_JOB.command;
const [NODE = ''] = NODE_JOB.command;
const [GO = ''] = GO_JOB.command;
const SERVICE = `identity-${process.pid}`;

const both = watched({ WHODUNIT_REPORT: 'default', WHODUNIT_RECORDS_PER_MINUTE: '1000' });

/** Runs a program that terminates, and returns its record and its output. */
async function recordFor(program: string, args: readonly string[]): Promise<{ record: LogRecord; printed: string }> {
  const env = { ...process.env, OTEL_SERVICE_NAME: SERVICE, OTEL_RESOURCE_ATTRIBUTES: 'team=till,service.version=1' };
  const victim = startProgram(program, args, { env });
  await victim.ended;
  const record = await until(
    'the record',
    REPORTED_WITHIN_MS,
    // A pid alone may have been another process's before.
    () =>
      both.collector
        .logs()
        .find(({ resource }) => resource['process.pid'] === victim.pid && resource['service.version'] === '1'),
    () => `${victim.output()}${both.whodunit.service.output()}`,
  );
  return { record, printed: victim.stdout() };
}

describe('a published context', () => {
  it.each([
    ['in a memfd, by a process that aborts', 'memfd', []],
    ['in a memfd, by a process that exits', 'memfd', ['3']],
    ['in anonymous memory', 'anonymous', []],
  ])('%s, names the service', async (_, how, code) => {
    const { record, printed } = await recordFor(PYTHON, [`${ROOT}/test/story/jobs/published_context.py`, how, ...code]);
    const [pid, seen] = printed.trim().split(' ');
    // Kernels without CONFIG_ANON_VMA_NAME do not name such memory. Then, by the OTEP, there is no context.
    const wanted =
      seen === 'named' ? { 'service.name': 'published', 'service.instance.id': pid } : { 'service.name': SERVICE };
    expect(record.resource).toMatchObject({
      ...wanted,
      'process.pid': Number(pid),
      team: 'till',
      'service.version': '1',
    });
  });

  // Then the kernel reserves five sixths of the address space for the stack, and places mappings below the executable and its heap.
  it.each(['memfd', 'anonymous'])('is found if the stack has no limit (%s)', async (how) => {
    const limited = ['--stack=unlimited', PYTHON, `${ROOT}/test/story/jobs/published_context.py`, how];
    const { record, printed } = await recordFor('prlimit', limited);
    const [pid, seen] = printed.trim().split(' ');
    expect(record.resource['service.name']).toBe(seen === 'named' ? 'published' : SERVICE);
    expect(record.resource['process.pid']).toBe(Number(pid));
  });

  it('is absent if none was published', async () => {
    const { record } = await recordFor(PYTHON, ['-c', 'import os; os.abort()']);
    expect(record.resource['service.name']).toBe(SERVICE);
  });
});

describe('the build id', () => {
  const ABORT = 'kill -ABRT $$';
  it.each([
    ['of a shell', '/bin/sh', ['-c', ABORT]],
    ['of Python', PYTHON, ['-c', 'import os; os.abort()']],
    ['of Node.js', NODE, ['-e', 'process.abort()']],
    ['of a Go program', GO, []],
    ['of a static Go program', MORTAL, ['raise', 'SIGABRT']],
  ])('%s is that of the file, or is omitted', async (_, program, args) => {
    const { record } = await recordFor(program, args);
    const file = String(record.resource['process.executable.path']);
    const notes = spawnSync('readelf', ['--notes', file], { encoding: 'utf8' });
    expect([notes.error, notes.status]).toEqual([undefined, 0]);
    const id = /Build ID: ([0-9a-f]+)/.exec(notes.stdout)?.[1];
    expect(record.resource['process.executable.build_id.gnu']).toBe(id);
  });
});

/** OpenTelemetry's process.executable.build_id.htlhash. */
function htlHash(path: string): string {
  const file = readFileSync(path);
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(file.length));
  const parts = Buffer.concat([file.subarray(0, 4096), file.subarray(-4096), length]);
  return createHash('sha256').update(parts).digest('hex').slice(0, 32);
}

/** A copy of the program on an overlay, as in a container. Unmounted at the end of the test. */
function onOverlay(program: string): string {
  const directory = temporaryDirectory();
  const at = (name: string) => join(directory.path, name);
  onTestFinished(() => {
    spawnSync('umount', ['--recursive', directory.path]);
    directory.remove();
  });
  expect(spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', directory.path]).status).toBe(0);
  for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(at(name));
  copyFileSync(program, at('lower/program'));
  const options = `lowerdir=${at('lower')},upperdir=${at('upper')},workdir=${at('work')}`;
  expect(spawnSync('mount', ['-t', 'overlay', 'overlay', '-o', options, at('merged')]).status).toBe(0);
  return at('merged/program');
}

describe('the profiling build id', () => {
  it.each([
    ['of a crash', () => MORTAL],
    ['of a crash on an overlay', () => onOverlay(MORTAL)],
  ])('%s is that of the file', async (_, prepare) => {
    const program = prepare();
    const { record } = await recordFor(program, ['segfault']);
    expect(record.resource).toMatchObject({
      'process.executable.path': program,
      'process.executable.build_id.htlhash': htlHash(program),
    });
  });

  it('is not known of a process that did not crash', async () => {
    const { record } = await recordFor(MORTAL, ['exit', '3']);
    expect(record.resource).not.toHaveProperty(['process.executable.build_id.htlhash']);
  });
});
