// SPDX-License-Identifier: Apache-2.0
// The minimal service: parses the line of a termination, writes the record durably, sends it through the official exporter, and settles
// it. It sends the same record every time, so no service with this exporter and a disk queue can use less processor time. A separate
// program that runs with the service's flags and the exporter's standard variables: node bench/least-service.ts DIRECTORY COUNT. Prints
// {"count":…,"cpu_ns":…}.
import { golden, goldenDeath } from '../scripts/stack/fake-loader.ts';
import { describeFailure } from '../src/core/delivery/outcome.ts';
import type { Protocol } from '../src/core/delivery/target.ts';
import { identify } from '../src/core/identity/identity.ts';
import { buildRecord } from '../src/core/telemetry/record.ts';
import { resourceOf, resourceValue } from '../src/core/telemetry/resource.ts';
import { storeRecord } from '../src/core/telemetry/stored.ts';
import { recordUid } from '../src/core/telemetry/uid.ts';
import { classify } from '../src/core/verdict/classify.ts';
import { hostReader } from '../src/io/host.ts';
import { Log } from '../src/io/log.ts';
import { createLogSender } from '../src/io/otlp/log-sender.ts';
import { Queue } from '../src/io/queue/queue.ts';

/** Terminations before the measurement, as a share of COUNT: the code must be compiled. */
const WARM_UP = 0.5;
/** About the size of a batch in a storm: what arrives within BATCH_DELAY_MS of the service. */
const BATCH = 400;
const BYTES_MAX = 2 ** 40;

const DEATH = 'death-exit-3';

async function main(directory: string, count: number): Promise<void> {
  const sender = await createLogSender(process.env.OTEL_EXPORTER_OTLP_PROTOCOL as Protocol);
  const queue = new Queue({ directory, bytesMax: BYTES_MAX, log: new Log() });
  const text = golden(DEATH);
  const { record, resource } = recordOf(DEATH);
  const handle = async (deaths: number): Promise<void> => {
    for (let done = 0; done < deaths; done += BATCH) {
      const items = Array.from({ length: Math.min(BATCH, deaths - done) }, () => {
        const { process: victim } = JSON.parse(text);
        const uid = recordUid('', victim.pid, 0n);
        // As in the service, each process has its own resource.
        return {
          uid,
          origin: '',
          endedMs: 0,
          record: storeRecord({ ...record, resource: resourceValue({ ...resource }) }),
        };
      });
      queue.put(items);
      const rows = queue.take(BATCH, BYTES_MAX);
      const outcome = await sender.send(rows.map((row) => row.record));
      if (outcome.kind !== 'success') throw new Error(`the collector: ${outcome.kind}: ${describeFailure(outcome)}`);
      queue.settle([]);
    }
  };
  await handle(count * WARM_UP);
  const before = process.cpuUsage();
  await handle(count);
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ count, cpu_ns: (user + system) * 1_000 }));
  queue.close();
  sender.close();
}

function recordOf(name: string) {
  const death = goldenDeath(name);
  const host = hostReader()();
  const verdict = classify(death);
  const identities = identify(death, verdict, host, 'redacted');
  const resource = resourceOf(identities.victim, host);
  const { pid, start_boottime_ns } = death.process;
  const uid = recordUid('', pid, start_boottime_ns);
  const input = {
    uid,
    incident: uid,
    verdict,
    identities,
    resource,
    crash: null,
    crashHistory: null,
    trace: null,
    thread: [],
    observedNs: 0n,
    reading: null,
    memory: null,
    coreDump: null,
    requester: null,
    systemd: null,
    before: null,
    reader: null,
    recent: 1,
  };
  return { record: buildRecord(input), resource };
}

await main(process.argv[2] ?? '', Number(process.argv[3]));
