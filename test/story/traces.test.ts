// SPDX-License-Identifier: Apache-2.0
// Identity in a backend: a job with a real SDK crashes. Its own span and the record and span of whodunit must have the same service, resource
// and trace in one collector.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { startProgram, until } from '../../scripts/stack/program.ts';
import { exportTo, type Protocol, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import { JOB_SPAN, JOBS } from '../support/jobs.ts';

const REPORTED_WITHIN_MS = 60_000;
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

describe.each<Protocol>(['grpc', 'http/protobuf', 'http/json'])('over %s', (protocol) => {
  let collector: Collector;
  let whodunit: Whodunit;

  beforeAll(async () => {
    collector = await startCollector();
    whodunit = await startWhodunit({ ...exportTo(collector, protocol), OTEL_TRACES_EXPORTER: 'otlp' });
  });

  afterAll(async () => {
    const ends = await whodunit?.stop(); // undefined: the setup failed
    await collector?.stop();
    if (ends !== undefined) expect(ends.service).toMatchObject({ code: 0 });
  });

  it.each(JOBS)(
    'a crashed job in $language is reported beside its own telemetry',
    async ({ language, command, executable, exitCode }) => {
      const [program = '', ...args] = command;
      const job = startProgram(program, args, {
        env: {
          ...process.env,
          OTEL_EXPORTER_OTLP_ENDPOINT: collector.http,
          OTEL_SERVICE_NAME: 'nightly batch, 100 %',
          OTEL_RESOURCE_ATTRIBUTES: 'service.version=1.2%2C3,deployment.environment.name=test',
          TRACEPARENT: `00-${TRACE}-${PARENT}-01`,
        },
      });
      expect([await job.ended, job.stdout()]).toMatchObject([{ code: exitCode }, expect.stringMatching(/^\d+\n/)]);
      const pid = Number(job.stdout());
      const record = await until(
        'the record',
        REPORTED_WITHIN_MS,
        () => collector.logs().find(({ resource }) => resource['process.pid'] === pid),
        whodunit.service.output,
      );
      const ours = await until(
        'the span of the termination',
        REPORTED_WITHIN_MS,
        () => collector.spans().find(({ resource }) => resource['process.pid'] === pid),
        whodunit.service.output,
      );
      // The other jobs of this collector have other languages.
      const theirs = collector
        .spans()
        .find(({ name, resource }) => name === JOB_SPAN && resource['telemetry.sdk.language'] === language);

      // The telemetry of the job is the reference: whodunit must report the same service as the SDK.
      for (const key of ['service.name', 'service.version', 'deployment.environment.name']) {
        expect(theirs?.resource[key]).toBeDefined();
        expect([key, record.resource[key], ours.resource[key]]).toEqual([
          key,
          theirs?.resource[key],
          theirs?.resource[key],
        ]);
      }
      expect([record.traceId, record.spanId]).toEqual([TRACE, PARENT]);
      expect([theirs?.traceId, theirs?.parentSpanId]).toEqual([TRACE, PARENT]);
      expect(ours).toMatchObject({
        name: executable,
        traceId: TRACE,
        parentSpanId: PARENT,
        statusCode: 2,
        statusMessage: record.body,
      });
      expect(ours.attributes).toEqual(record.attributes);
      expect(ours.endTimeUnixNs).toBe(record.timeUnixNs);
      // Short, so that it is found where the job crashed: after the span of the job began.
      expect(ours.endTimeUnixNs - ours.startTimeUnixNs).toBeLessThanOrEqual(1_000_000n);
      expect(ours.endTimeUnixNs).toBeGreaterThan(theirs?.startTimeUnixNs ?? 0n);
    },
  );
});
