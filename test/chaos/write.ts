// SPDX-License-Identifier: Apache-2.0
// A program that writes docs/chaos.md from the last result of each scenario (scripts/suites/chaos.ts).
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../scripts/stack/program.ts';
import { SCENARIOS } from './scenarios.ts';
import { type Row, table } from './table.ts';

const RESULTS = join(ROOT, 'build/chaos/results');
const TARGET = join(ROOT, 'docs/chaos.md');

const files = SCENARIOS.map(({ key }) => ({ key, path: join(RESULTS, `${key}.json`) }));
// The soak takes an hour, so it is optional.
const absent = files.filter(({ key, path }) => key !== 'soak' && !existsSync(path)).map(({ key }) => key);
if (absent.length > 0) {
  console.error(`docs/chaos.md needs a result of every scenario. Missing: ${absent.join(', ')}. Run these first.`);
  process.exit(1);
}
const present = files.filter(({ path }) => existsSync(path));
const rows = present.map(({ path }) => JSON.parse(readFileSync(path, 'utf8')) as Row);

writeFileSync(
  TARGET,
  `# Nothing is lost

\`npm run test:chaos -- --write\` generates this page from the last run of each scenario. Processes terminate at a given rate while
something goes wrong. The test program that kills them records each termination after \`wait4\`. The file of a real OpenTelemetry
Collector shows what arrived ([why](decisions/0025-independent-ledger-in-chaos-tests.md)).

The columns:

- *delivered*, *filtered*, *refused*: terminations of the test whose record arrived, that a filter rule only counted, or whose record the
  collector permanently refused.
- *copies*: records that came twice and have the same \`log.record.uid\`, by which a receiver removes them. *duplicates*: records that came
  twice and cannot be removed in this way.
- *missing*: terminations that should have a record and have none. *lost*: terminations that whodunit counted as lost.
- *others*: terminations of processes outside the test. The probes see the whole machine, so some of these may be among the lost.

Nothing may be missing or lost where it can be kept. In d no storage has room, and in e the content of the file is gone. Every missing
termination must be counted.

\`\`\`
${table(rows)}\`\`\`

- **a** \`kill -9\` of the service, the loader or the collector at random moments; each is started again at once.
- **b** The collector is stopped and started again.
- **c** A server in front of the collector answers UNAVAILABLE, 429 with Retry-After, a partial success, 400, nothing, or half of an
  answer. Each 50th record is permanently refused, and no other may be.
- **d** The queue is on a disk of 4 MiB, and the disk is full; then the ring is full, too.
- **e** While the service is down, the queue's file is truncated, overwritten in places, or overwritten at its beginning.
- **f** QEMU is killed with \`kill -9\`, and the machine boots again from its disk. The ledger has the terminations that were acknowledged
  before.
- **g** The clock of a virtual machine jumps by an hour, two hours back, a year, and back.
- **h** Twenty clients of the loader's socket read nothing, send garbage, or claim the consumer role.
- **i** A loader replaces that of release 0.1.0, then two builds replace each other; some of them are killed while they start.
- **j** A server in front of the collector answers HTTP 500, then INTERNAL, to every request, and works again later.
- **k** Two users flood the machine with processes that exit with an error, one of them with a new code each time. Each second a service of
  root terminates; its record must have all parts, and arrive within a second.
- **l** Each of several acts kills all processes of a cgroup, and the service is killed with \`kill -9\` before the record of their incident
  is due. That record comes, once; what it lists counts as delivered.
- **m** A cgroup of version 2 reaches its limit. The record of the kill has the limit, the other process of the cgroup, and what
  memory.events and memory.pressure counted.
- **storm** All processors kill as fast as they can, while the service is stopped for 2 s.
- **soak** (\`npm run test:chaos -- --soak\`) An hour. The figures are the memory and the open descriptors of both programs: the median of
  the second quarter → the median of the last.
`,
);
console.log(`wrote ${TARGET}`);
