// SPDX-License-Identifier: Apache-2.0
// `npm run test:chaos`: the chaos tests by themselves. Last line: `N passed, N failed`.

import { command, Failure, readFlags } from '../base/command.ts';
import { run } from '../base/run.ts';
import { build } from '../build/programs.ts';
import { NODE, ROOT } from '../paths.ts';
import { KEYS, prepareChaos, SOAK, testChaos } from '../suites/chaos.ts';
import { report } from '../suites/counts.ts';

const HELP = `npm run test:chaos -- [options]

Kills, fills, cuts, slows and upgrades every part while processes terminate, and compares the terminations with the records that
arrived. Needs root.

  --only KEYS        some scenarios, with commas: ${KEYS.join(', ')}
  --full             the whole lengths: a minute and 100 kills, a collector that is down for 5 minutes
  --soak             instead: an hour of terminations at 50 a second; memory and descriptors must stay flat
  --soak-minutes N   the same, shorter or longer
  --seed N           the random choices of an earlier run
  --write            write docs/chaos.md from the last result of each scenario, afterwards
  --help             this text

Each line of the table: true terminations, of them delivered, filtered and rejected by the collector; copies that log.record.uid
removes, duplicates that it does not; terminations without a record; lost, as whodunit counted them; and how many other processes
of this machine terminated, which may be among the lost. Exit code 1 where the sum is wrong.`;

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
  throw new Failure(`--${flag} is ${text}; it must be a whole number. See --help.`);
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
