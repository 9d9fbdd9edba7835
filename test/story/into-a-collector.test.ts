// SPDX-License-Identifier: Apache-2.0
// The whole path, over each protocol: a shell kills `sleep`, and a real collector soon writes one record about it.
import { realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answers, type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { isTermination } from '../../scripts/stack/otlp-file.ts';
import { until } from '../../scripts/stack/program.ts';
import { exportTo, type Protocol, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import { type Shell, shellWithSleep } from '../support/shell.ts';

/** From the kill to the line in the collector's file. The fastest of KILLS, because the machine may be busy. The benchmark measures them all. */
const LATENCY_MAX_MS = 250;
const KILLS = 4;
const RECORD_WITHIN_MS = 60_000;
const SECOND_RECORD_WITHIN_MS = 500;

describe.each<Protocol>(['grpc', 'http/protobuf', 'http/json'])('over %s', (protocol) => {
  let collector: Collector;
  let whodunit: Whodunit;

  beforeAll(async () => {
    collector = await startCollector();
    whodunit = await startWhodunit(exportTo(collector, protocol));
  });

  afterAll(async () => {
    const ends = await whodunit?.stop(); // undefined: the setup failed
    await collector?.stop();
    if (ends !== undefined) expect(ends).toMatchObject({ service: { code: 0 }, loader: { code: 0 }, pinsLeft: false });
  });

  const recordsOf = ({ sleepPid }: Shell) =>
    collector.logs().filter((record) => isTermination(record) && record.resource['process.pid'] === sleepPid);

  it('readyz and livez answer 200', async () => {
    expect(await answers(`http://${whodunit.at.health}/readyz`)).toBe(true);
    expect(await answers(`http://${whodunit.at.health}/livez`)).toBe(true);
  });

  it('`sleep 100 & kill -SEGV $!` yields exactly one record, of sleep, by that shell, within 250 ms', async () => {
    const latencies: number[] = [];
    // The first kill includes the connection to the collector.
    for (let round = 1; round <= KILLS; round += 1) {
      const shell = await shellWithSleep();
      try {
        const killed = shell.kill();
        const record = await until(
          `record ${round}`,
          RECORD_WITHIN_MS,
          () => recordsOf(shell)[0],
          whodunit.service.output,
        );
        latencies.push(performance.now() - killed);
        expect(record.eventName).toBe('whodunit.process.termination');
        expect(record.resource).toMatchObject({
          'process.pid': shell.sleepPid,
          'process.parent_pid': shell.program.pid,
          'process.executable.path': realpathSync('/usr/bin/sleep'),
          'process.command_args': ['sleep', '100'],
        });
        expect(record.attributes).toMatchObject({
          'whodunit.cause': 'killed',
          'error.type': 'SIGSEGV',
          'whodunit.signal.number': 11,
          'whodunit.sender.kind': 'process',
          'whodunit.sender.pid': shell.program.pid,
          'whodunit.sender.executable.name': basename(realpathSync('/bin/sh')),
        });
        expect(record.body).toContain(`(pid ${shell.sleepPid})`);
        await new Promise((resolve) => setTimeout(resolve, SECOND_RECORD_WITHIN_MS));
        expect(recordsOf(shell)).toHaveLength(1);
      } finally {
        await shell.close();
      }
    }
    console.log(
      `${protocol}: ${latencies.map((ms) => `${ms.toFixed(0)} ms`).join(', then ')} from the kill to the collector's file`,
    );
    expect(Math.min(...latencies), `latencies: ${latencies}`).toBeLessThan(LATENCY_MAX_MS);
  });
});
