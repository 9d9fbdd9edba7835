// `npm run test:chaos`: the chaos tests by themselves. Last line: `N passed, N failed`.
//
// SPDX-License-Identifier: Apache-2.0

import { KEYS, SOAK, testChaos } from './chaos.mjs';
import { command, Failure, installAndBuild, NODE, ROOT, readFlags, run } from './steps.mjs';

const HELP = `npm run test:chaos -- [options]

Kills, fills, cuts, slows and upgrades every part while processes die, and compares the deaths with what arrived. Needs root.

  --only KEYS        some scenarios, with commas: ${KEYS.join(', ')}
  --full             the whole lengths: a minute and 100 kills, a collector that is down for 5 minutes
  --soak             an hour of deaths at 50 a second instead: is memory flat, are descriptors?
  --soak-minutes N   the same, shorter or longer
  --seed N           the random choices of an earlier run
  --write            write docs/chaos.md from the last result of each scenario, afterwards
  --help             this text

Each line of the table: true deaths, of them delivered, filtered and refused by the collector for good; second copies that fell to
log.record.uid, duplicates that did not; deaths without a record; lost, as whodunit counted it; and how many others died on this
machine, who may be among the lost. Exit code 1 where it does not add up.`;

const OPTIONS = {
  only: { type: 'string' },
  full: { type: 'boolean' },
  soak: { type: 'boolean' },
  'soak-minutes': { type: 'string' },
  seed: { type: 'string' },
  write: { type: 'boolean' },
  help: { type: 'boolean' },
};

function number(flag, text) {
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
  await installAndBuild();
  const { passed, failed } = await testChaos({
    keys: soak ? [SOAK] : flags.only?.split(','),
    full: flags.full,
    soakMinutes,
    seed: number('seed', flags.seed),
  });
  if (flags.write) process.stdout.write(await run(NODE, [`${ROOT}/test/chaos/write.ts`]));
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
});
