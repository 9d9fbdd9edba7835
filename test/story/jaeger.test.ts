// SPDX-License-Identifier: Apache-2.0
// With a real Jaeger, which accepts only traces: an instrumented batch job crashes, and its termination is a span in the trace of its own
// span, under the same service.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeLoader, goldenObject, line } from '../../scripts/stack/fake-loader.ts';
import { type Jaeger, startJaeger } from '../../scripts/stack/jaeger.ts';
import { startProgram, until } from '../../scripts/stack/program.ts';
import { type Protocol, place, startService, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import { JOB_SPAN, NODE_JOB, PYTHON_JOB } from '../support/jobs.ts';

const REPORTED_WITHIN_MS = 60_000;
const PARENT = 'b7ad6b7169203331';
const DAY_NS = 86_400_000_000_000n;

describe.each<Protocol>(['grpc', 'http/protobuf'])('over %s', (protocol) => {
  let jaeger: Jaeger;
  let whodunit: Whodunit;

  beforeAll(async () => {
    jaeger = await startJaeger();
    whodunit = await startWhodunit({
      WHODUNIT_REPORT: 'default',
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_LOGS_EXPORTER: 'console',
      OTEL_EXPORTER_OTLP_ENDPOINT: protocol === 'grpc' ? jaeger.grpc : jaeger.http,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    });
  });

  afterAll(async () => {
    const ends = await whodunit?.stop(); // undefined: the setup failed
    await jaeger?.stop();
    if (ends !== undefined) expect(ends.service).toMatchObject({ code: 0 });
  });

  it.each([NODE_JOB, PYTHON_JOB])(
    'the crash of a job in $language is a span in the trace of the job',
    async ({ language, command: [program = '', ...args], executable }) => {
      const traceId = `${process.pid.toString(16).padStart(16, 'b')}${Date.now().toString(16).padStart(16, '0')}`;
      const job = startProgram(program, args, {
        env: {
          ...process.env,
          OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.http,
          OTEL_SERVICE_NAME: `nightly ${language}`,
          TRACEPARENT: `00-${traceId}-${PARENT}-01`,
        },
      });
      expect([await job.ended, job.stdout()]).toEqual([
        { code: null, signal: 'SIGABRT' },
        expect.stringMatching(/^\d+\n/),
      ]);
      const pid = Number(job.stdout());
      const death = await until(
        'the span of the termination',
        REPORTED_WITHIN_MS,
        async () =>
          (await jaeger.trace(traceId)).find(
            ({ serviceTags }) =>
              serviceTags['process.pid'] === pid && serviceTags['telemetry.distro.name'] === 'whodunit',
          ),
        whodunit.service.output,
      );
      const own = (await jaeger.trace(traceId)).find(({ operationName }) => operationName === JOB_SPAN);

      expect(own).toMatchObject({ traceId, parentSpanId: PARENT, service: `nightly ${language}` });
      expect(death).toMatchObject({
        operationName: executable,
        traceId,
        parentSpanId: PARENT,
        service: own?.service,
        tags: {
          error: true,
          'whodunit.cause': 'abort',
          'error.type': 'SIGABRT',
          'otel.status_description': expect.stringMatching(/aborted/),
        },
      });
      // The last millisecond of the process: after the span of the job.
      expect(death.durationMicros).toBeLessThanOrEqual(1000);
      expect(death.startMicros + death.durationMicros).toBeGreaterThan(
        (own?.startMicros ?? 0) + (own?.durationMicros ?? 0),
      );
    },
  );

  it('a process that ran for a day is found by a search of the last five minutes', async () => {
    const service = `day-long ${protocol}`;
    const endedNs = BigInt(Date.now()) * 1_000_000n;
    const death = goldenObject('death-exit-3');
    Object.assign(death, { time_ns: String(endedNs), clock_offset_ns: '0' });
    death.process.start_boottime_ns = String(endedNs - DAY_NS);
    Object.assign(death.process, { env: { OTEL_SERVICE_NAME: service }, otel_context: null });
    const loader = await new FakeLoader().start();
    const at = { ...(await place()), socket: loader.path };
    const program = startService(at, {
      WHODUNIT_SPANS: 'all',
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_LOGS_EXPORTER: 'none',
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_EXPORTER_OTLP_ENDPOINT: protocol === 'grpc' ? jaeger.grpc : jaeger.http,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    });
    try {
      await until('the service', REPORTED_WITHIN_MS, () => loader.received.length > 0 || undefined, program.output);
      loader.send(line(death));
      const found = await until(
        'the span',
        REPORTED_WITHIN_MS,
        async () => (await jaeger.search(service, 5))[0],
        program.output,
      );
      expect(found).toMatchObject({ service, tags: { 'whodunit.process.uptime': Number(DAY_NS) / 1e9 } });
      expect(found.durationMicros).toBe(1000);
    } finally {
      await program.stop();
      await loader.remove();
      at.directory.remove();
    }
  });
});
