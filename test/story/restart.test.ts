// SPDX-License-Identifier: Apache-2.0
// Who dies and is started again: by a shell that minds it, by Docker. A second event follows the record of the death.
import { expect, it } from 'vitest';
import { startDocker } from '../../scripts/stack/containers.ts';
import { isTermination, type LogRecord } from '../../scripts/stack/otlp-file.ts';
import { MORTAL, ROOT, startProgram, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';

const REPORTED_WITHIN_MS = 60_000;

const both = watched({ WHODUNIT_REPORT: 'default' });

/** The records of a service, deaths and restarts, when there are so many. */
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

it('a shell restarts what died, and each restart is reported: of which process, when, and by which', async () => {
  const service = `minded-${process.pid}`;
  const loop = 'for i in 1 2 3; do "$0" raise SIGSEGV; sleep 0.1; "$0" exit 0; done 2>/dev/null; "$0" exit 7';
  const shell = startProgram('sh', ['-c', loop, MORTAL], { env: { ...process.env, OTEL_SERVICE_NAME: service } });
  expect([await shell.ended, shell.output()]).toEqual([{ code: 7, signal: null }, '']);
  const [died = [], again = []] = await records(service, 4, 2);

  expect(died.map(({ attributes }) => attributes['error.type'])).toEqual(['SIGSEGV', 'SIGSEGV', 'SIGSEGV', '7']);
  // "exit 0" and "exit 7" are the same executable, and another program.
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

it('Docker starts a container again', async () => {
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
