// SPDX-License-Identifier: Apache-2.0
// `npm run test:chaos`: only the chaos tests. Last line: `N passed, N failed`.
import { command, Failure, readFlags } from '../base/command.ts';
import { run } from '../base/run.ts';
import { build } from '../build/programs.ts';
import { NODE, ROOT } from '../paths.ts';
import { KEYS, prepareChaos, SOAK, testChaos } from '../suites/chaos.ts';
import { report } from '../suites/counts.ts';

const HELP = `npm run test:chaos -- [options]

Kills, fills, disconnects, slows down and upgrades every part while processes terminate, and compares the terminations with the
records that arrived. Needs root.

  --only KEYS        run only these scenarios, separated by commas: ${KEYS.join(', ')}
  --full             run at full length: a minute and 100 kills, a collector that is down for 5 minutes
  --soak             run only the soak: an hour at 50 terminations/s; memory and file descriptors must not grow
  --soak-minutes N   the same for N minutes
  --seed N           repeat the random choices of an earlier run
  --write            afterwards, write docs/chaos.md from the last result of each scenario
  --help             show this text

Columns of the table: actual terminations; how many of them were delivered, filtered, and rejected by the collector; copies that
log.record.uid removes, and duplicates that it does not; terminations without a record; losses that whodunit counted; and
terminations of other processes on this machine, which may be among the losses. Exits with 1 if the sum is wrong.`;

const OPTIONS = {
  only: { type: 'string' },
  full: { type: 'boolean' },
  soak: { type: 'boolean' },
  'soak-minutes': { type: 'string' },
  seed: { type: 'string' },
  write: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

function number(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new Failure(`--${flag} is ${text}; it must be an integer of up to 10 digits. See --help.`);
}

await command(async () => {
  const flags = readFlags(OPTIONS);
  if (flags.help) {
    console.log(HELP);
    return 0;
  }
  const soakMinutes = number('soak-minutes', flags['soak-minutes']);
  const soak = flags.soak || soakMinutes !== undefined;
  await build();
  const keys = soak ? [SOAK] : flags.only?.split(',');
  const counts = await testChaos(await prepareChaos(keys), {
    keys,
    full: flags.full,
    soakMinutes,
    seed: number('seed', flags.seed),
  });
  if (flags.write) process.stdout.write(await run(NODE, [`${ROOT}/test/chaos/write.ts`]));
  return report(counts);
});
