// SPDX-License-Identifier: Apache-2.0
// Identity in different places: jobs with real SDKs crash in Docker containers, in cgroups as Kubernetes creates them, and in those of
// systemd. whodunit must report the same service and container as the SDK, in the same collector.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCgroup } from '../../scripts/stack/cgroup.ts';
import { type Docker, startDocker } from '../../scripts/stack/containers.ts';
import type { LogRecord, Span } from '../../scripts/stack/otlp-file.ts';
import { ROOT, startProgram, until } from '../../scripts/stack/program.ts';
import { JOB_SPAN, JOBS, type Job } from '../support/jobs.ts';
import { watched } from '../support/watched.ts';

const REPORTED_WITHIN_MS = 60_000;
/** SIGABRT as an exit code of shells, inits and Docker. */
const ABORTED_CODE = 134;
const PATH = process.env.PATH ?? '';

const CONTAINER = '5b0d7a4c9e1f2836475869708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4';
const POD = '7d3e9f10-2b4c-4d5e-8f60-718293a4b5c6';
/** Cgroups as other programs create them, and the expected resource attributes of a process in them. */
const PLACES: readonly [string, string, object][] = [
  [
    'a pod’s container, by kubelet and containerd with systemd',
    `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${POD.replaceAll('-', '_')}.slice/cri-containerd-${CONTAINER}.scope`,
    { 'container.id': CONTAINER, 'k8s.pod.uid': POD },
  ],
  [
    'a pod’s container, by kubelet without systemd',
    `kubepods/besteffort/pod${POD}/${CONTAINER}`,
    { 'container.id': CONTAINER, 'k8s.pod.uid': POD },
  ],
  ['a service of systemd', 'system.slice/checkout.service', { 'whodunit.systemd.unit': 'checkout.service' }],
];

// The default filter reports every crash.
const both = watched({ WHODUNIT_REPORT: 'default' });

/** The variables of a job. There are two ways to name the service. The trace id identifies the job. */
function variables(job: Job, where: string, trace: string): Record<string, string> {
  const name = `checkout, ${job.language} in ${where}`;
  const named =
    job.language === 'python'
      ? { OTEL_RESOURCE_ATTRIBUTES: `service.name=${encodeURIComponent(name)},service.version=7` }
      : { OTEL_SERVICE_NAME: name, OTEL_RESOURCE_ATTRIBUTES: 'service.version=7' };
  return {
    ...named,
    PATH,
    OTEL_EXPORTER_OTLP_ENDPOINT: both.collector.http,
    TRACEPARENT: `00-${trace}-b7ad6b7169203331-01`,
  };
}

let traces = 0;
function newTrace(): string {
  traces += 1;
  return process.pid.toString(16).padStart(16, 'a') + traces.toString(16).padStart(16, '0');
}

/** Waits for the record of the termination in that trace, and returns it with the span that the job sent. */
async function recordAndSpan(trace: string): Promise<{ record: LogRecord; own: Span }> {
  const record = await until(
    'the record',
    REPORTED_WITHIN_MS,
    () => both.collector.logs().find(({ traceId }) => traceId === trace),
    both.whodunit.service.output,
  );
  const own = both.collector.spans().find(({ name, traceId }) => name === JOB_SPAN && traceId === trace);
  if (own === undefined) throw new Error(`the job sent no span: ${JSON.stringify(both.collector.spans())}`);
  expect(own.resource['service.name']).toMatch(/^checkout, /);
  for (const key of ['service.name', 'service.version'])
    expect([key, record.resource[key]]).toEqual([key, own.resource[key]]);
  return { record, own };
}

describe('in a container of Docker', () => {
  let docker: Docker;
  beforeAll(async () => {
    docker = await startDocker();
  });
  afterAll(async () => docker?.stop());

  it.each(JOBS)('a job in $language is reported with its service and container', async (job) => {
    const trace = newTrace();
    const { program, id } = docker.run(job.command, variables(job, 'a container', trace), ROOT);
    const { code } = await program.ended;
    expect([code, program.stdout()]).toEqual([job.exitCode ?? ABORTED_CODE, expect.stringMatching(/^\d+\n/)]);
    const { record, own } = await recordAndSpan(trace);
    expect(id()).toMatch(/^[0-9a-f]{64}$/);
    expect(record.resource).toMatchObject({
      'container.id': id(),
      'process.vpid': Number.parseInt(program.stdout(), 10),
      'process.executable.name': job.executable,
    });
    // The SDK for Go detects its container.
    if (job.language === 'go') expect(own.resource['container.id']).toBe(id());
  });
});

describe.each(PLACES)('in %s', (where, path, placed) => {
  it.each(JOBS)('a job in $language is reported with its service and place', async (job) => {
    const trace = newTrace();
    const cgroup = makeCgroup(path);
    try {
      const [program = '', ...args] = cgroup.enter(job.command);
      const started = startProgram(program, args, { env: variables(job, where, trace) });
      const { code } = await started.ended;
      expect([code, started.stdout()]).toEqual([job.exitCode, expect.stringMatching(/^\d+\n/)]);
      const { record } = await recordAndSpan(trace);
      expect(record.resource).toMatchObject({ ...placed, 'process.pid': Number.parseInt(started.stdout(), 10) });
    } finally {
      await cgroup.remove();
    }
  });
});
