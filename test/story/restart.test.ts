// SPDX-License-Identifier: Apache-2.0
// A process that terminates and is restarted, by a supervising shell or by Docker: a restart event follows the record.
import { expect, it } from 'vitest';
import { startDocker } from '../../scripts/stack/containers.ts';
import { isTermination, type LogRecord } from '../../scripts/stack/otlp-file.ts';
import { MORTAL, ROOT, startProgram, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';

const REPORTED_WITHIN_MS = 60_000;

const both = watched({ WHODUNIT_REPORT: 'default' });

/** Waits for this number of terminations and restarts of a service, and returns them. */
async function records(service: string, deaths: number, restarts: number): Promise<LogRecord[][]> {
  const all = () =>
    both.collector
      .logs()
      .filter(({ resource }) => resource['service.name'] === service && resource['process.executable.path'] === MORTAL);
  const reported = () => [
    all().filter(isTermination),
    all().filter(({ eventName }) => eventName === 'whodunit.process.restart'),
  ];
  return until(
    'the records',
    REPORTED_WITHIN_MS,
    () => {
      const [died = [], again = []] = reported();
      return died.length >= deaths && again.length >= restarts ? [died, again] : undefined;
    },
    () => `${JSON.stringify(reported())}\n${both.whodunit.service.output()}`,
  );
}

it('each restart by a shell is reported: of which process, when, and by which process', async () => {
  const service = `minded-${process.pid}`;
  const loop = 'for i in 1 2 3; do "$0" raise SIGSEGV; sleep 0.1; "$0" exit 0; done 2>/dev/null; "$0" exit 7';
  const shell = startProgram('sh', ['-c', loop, MORTAL], { env: { ...process.env, OTEL_SERVICE_NAME: service } });
  expect([await shell.ended, shell.output()]).toEqual([{ code: 7, signal: null }, '']);
  const [died = [], again = []] = await records(service, 4, 2);

  expect(died.map(({ attributes }) => attributes['error.type'])).toEqual(['SIGSEGV', 'SIGSEGV', 'SIGSEGV', '7']);
  // "exit 0" and "exit 7" have the same executable, but are other commands, so they are no restarts.
  expect(again.map(({ resource }) => resource['process.pid'])).toEqual(
    died.slice(0, 2).map(({ resource }) => resource['process.pid']),
  );
  for (const [index, { attributes, body }] of again.entries()) {
    const next = died[index + 1]?.resource['process.pid'];
    expect(attributes).toMatchObject({
      'whodunit.termination.uid': died[index]?.attributes['log.record.uid'],
      'whodunit.restart.pid': next,
    });
    expect((attributes['whodunit.restart.ancestors'] as readonly string[])[0]).toMatch(
      new RegExp(`\\(${shell.pid}\\)$`),
    );
    expect(attributes['whodunit.restart.delay']).toBeGreaterThan(0.1);
    expect(body).toContain(`as pid ${next}`);
  }
});

it('a restart of a container by Docker is reported', async () => {
  const service = `restarted-${process.pid}`;
  const docker = await startDocker();
  try {
    const { program, id } = docker.run([MORTAL, 'exit', '3'], { OTEL_SERVICE_NAME: service }, ROOT, [
      '--restart',
      'on-failure:1',
    ]);
    const [died = [], again = []] = await records(service, 2, 1);
    expect(died[1]?.resource['container.id']).toBe(id());
    expect(again[0]?.attributes).toMatchObject({
      'whodunit.termination.uid': died[0]?.attributes['log.record.uid'],
      'whodunit.restart.ancestors': expect.arrayContaining([expect.stringMatching(/^docker-init\(\d+\)$/)]),
    });
    await program.stop();
  } finally {
    await docker.stop();
  }
});
