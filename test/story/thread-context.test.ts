// SPDX-License-Identifier: Apache-2.0
// Thread contexts: two threads of a real program publish their current span (OpenTelemetry's OTEP 4947). The record and the span of the
// termination must have that of the thread that triggered it, wherever compiler and linker place the variable.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { startProgram, until, WORLD } from '../../scripts/stack/program.ts';
import { type Watched, watched } from '../support/watched.ts';

const REPORTED_WITHIN_MS = 60_000;
const OF_WORKER = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };
const OF_MAIN = { traceId: '1'.repeat(32), spanId: '1'.repeat(16) };
const WORK_OF_WORKER = {
  'http.request.method': 'GET',
  'http.route': '/users/:id',
  'whodunit.thread_context.tenant': 'acme',
};
const STARTING = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
const SERVICE = { OTEL_TRACES_EXPORTER: 'otlp', WHODUNIT_RECORDS_PER_MINUTE: 'off' };

/** Runs a program of scripts/build/world.ts, and returns its record. `how`: see test/story/threads/thread_context.c. */
async function recordFor(
  by: Watched,
  how: string,
  program = 'threads-alone',
  library = program === 'threads-alone' ? 'libthreads.so' : null,
): Promise<LogRecord> {
  const path = join(WORLD, program);
  const victim = startProgram(path, [how, ...(library === null ? [] : [join(WORLD, library)])], {
    env: { ...process.env, TRACEPARENT: `00-${STARTING.traceId}-${STARTING.spanId}-01` },
  });
  if (how === 'wait') {
    await until(
      'the program waits',
      REPORTED_WITHIN_MS,
      () => /waiting/.test(victim.stdout()) || undefined,
      victim.output,
    );
    process.kill(victim.pid, 'SIGKILL');
  }
  await victim.ended;
  const reported = <T extends { resource: Record<string, unknown> }>(all: () => readonly T[]) =>
    until(
      'its record and span',
      REPORTED_WITHIN_MS,
      // A pid alone may have been another process's before.
      () =>
        all().find(
          ({ resource }) => resource['process.pid'] === victim.pid && resource['process.executable.path'] === path,
        ),
      () => `${victim.output()}${by.whodunit.loader.output()}${by.whodunit.service.output()}`,
    );
  const record = await reported(by.collector.logs);
  const span = await reported(by.collector.spans);
  expect(span).toMatchObject({ traceId: record.traceId, parentSpanId: record.spanId });
  return record;
}

describe('enabled', () => {
  const enabled = watched(SERVICE, { WHODUNIT_THREAD_CONTEXT: '1' });

  it.each<[string, string, string | null]>([
    ['in the program', 'threads-in-program', null],
    ['in a program, after an aligned one', 'threads-in-program-aligned', null],
    ['in a program at a fixed address', 'threads-in-program-fixed', null],
    ['in a static program', 'threads-in-program-static', null],
    ['in a library that it was linked with', 'threads-with-library', null],
    ['in a library that was loaded later', 'threads-alone', 'libthreads.so'],
    ['in a library that binds its symbols locally', 'threads-alone', 'libthreads-symbolic.so'],
    ['in a library whose variables are allocated late', 'threads-alone', 'libthreads-large.so'],
    ['in such a library without TLS descriptors', 'threads-alone', 'libthreads-traditional.so'],
    ['in a library of the initial-exec model', 'threads-alone', 'libthreads-initial.so'],
  ])('a variable %s is found', async (_, program, library) => {
    expect(await recordFor(enabled, 'fault', program, library)).toMatchObject({
      ...OF_WORKER,
      resource: { 'service.name': 'threads' },
    });
  });

  it.each(['fault', 'abort', 'exit', 'terminate'])('the worker triggers the termination: %s', async (how) => {
    expect(await recordFor(enabled, how)).toMatchObject({ ...OF_WORKER, attributes: WORK_OF_WORKER });
  });

  it('a size beyond the record that the OTEP recommends does not hide the first attributes', async () => {
    expect(await recordFor(enabled, 'much')).toMatchObject({ ...OF_WORKER, attributes: WORK_OF_WORKER });
  });

  it('the main thread triggers the termination', async () => {
    const record = await recordFor(enabled, 'main');
    expect(record).toMatchObject(OF_MAIN);
    expect(Object.keys(record.attributes)).not.toContain('http.route');
  });

  it.each([
    ['another process killed it', 'wait'],
    ['the context is not valid', 'invalid'],
    ['the context was detached', 'detached'],
    ['the trace has no id', 'zero'],
    ['the process publishes no process context', 'hidden'],
    ['the process publishes thread contexts of another schema', 'schema'],
    ['the list of objects and a section of one have no end', 'endless-section'],
    ['a chain of symbols has no end', 'endless-chain'],
    ['relocations have no end', 'endless-relocations'],
    ['the list of objects does not lead anywhere', 'garbage-list'],
  ])('it is the span that started the process if %s', async (_, how) => {
    expect(await recordFor(enabled, how)).toMatchObject(STARTING);
  });
});

describe('not enabled', () => {
  const usual = watched(SERVICE);

  it.each(['fault', 'exit'])('it is the span that started the process: %s', async (how) => {
    expect(await recordFor(usual, how)).toMatchObject(STARTING);
  });
});
