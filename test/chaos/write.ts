// SPDX-License-Identifier: Apache-2.0
// Writes docs/chaos.md from the last result of each scenario (scripts/suites/chaos.ts). A program.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../scripts/stack/program.ts';
import { SCENARIOS } from './scenarios.ts';
import { type Row, table } from './table.ts';

const RESULTS = join(ROOT, 'build/chaos/results');
const TARGET = join(ROOT, 'docs/chaos.md');

const files = SCENARIOS.map(({ key }) => ({ key, path: join(RESULTS, `${key}.json`) }));
// The hour of the soak is not for every run.
const absent = files.filter(({ key, path }) => key !== 'soak' && !existsSync(path)).map(({ key }) => key);
if (absent.length > 0) {
  console.error(`docs/chaos.md has all scenarios, and of ${absent.join(', ')} there is no result: run these first.`);
  process.exit(1);
}
const present = files.filter(({ path }) => existsSync(path));
const rows = present.map(({ path }) => JSON.parse(readFileSync(path, 'utf8')) as Row);

writeFileSync(
  TARGET,
  `# Nothing is lost

Made by \`npm run test:chaos -- --write\` from the last run of each scenario. Processes die at a given rate; meanwhile something goes wrong. Who
died is told by the program that let them die, after \`wait4\`; what arrived is told by the file of a real OpenTelemetry Collector
([why so](decisions/0025-the-killer-keeps-the-ledger.md)).

*Copies* are records that came twice, and fall to \`log.record.uid\`; *duplicates* are those that would not. *Missing* are deaths without a
record, *lost* is what whodunit counted as such: the probes see the whole machine, so that *others* may be among the lost. Nothing may be
missing or lost where nothing has to be: in d there is no room, in e the file's content is gone. What is missing must be counted, to
the last one.

\`\`\`
${table(rows)}\`\`\`

- **a** \`kill -9\` of the service, the loader or the collector at random moments; each is started again at once.
- **b** The collector is stopped, and started again.
- **c** A server before the collector answers UNAVAILABLE, 429 with Retry-After, a partial success, 400, nothing, or half of an answer; each 50th
  death is refused for good, and must be the only one.
- **d** The queue is on a disk of 4 MiB, which is full; then also the ring is.
- **e** The queue's file is cut off, overwritten in places, or at its beginning, while the service is down.
- **f** QEMU is killed with \`kill -9\`, and the machine boots again from its disk. The ledger has the deaths that were acknowledged before.
- **g** The clock of a virtual machine jumps by an hour, two hours back, a year, and back.
- **h** Twenty clients of the loader's socket that read nothing, send garbage, or claim the role of the consumer.
- **i** Another build of the loader takes over, and the first one again; some of them are killed while they start.
- **storm** All processors kill as fast as they can, with the service stopped for 2 s.
- **soak** (\`npm run test:chaos -- --soak\`) An hour; the memory and the open descriptors of both programs, as the median of the second quarter → that of the last.
`,
);
console.log(`wrote ${TARGET}`);
