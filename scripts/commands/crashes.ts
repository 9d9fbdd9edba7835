// SPDX-License-Identifier: Apache-2.0
// `npm run crashes`: crashes real programs, each many times, and compares what is reported with what is expected.
import { command, Failure, readFlags } from '../base/command.ts';
import { isRoot } from '../base/privileges.ts';
import { build } from '../build/programs.ts';
import { add, NO_TESTS, report } from '../suites/counts.ts';
import { prepareCrashes, testCrashes } from '../suites/crashes.ts';

const HELP = `npm run crashes -- [options]

Crashes programs in C, C++, Rust, Go, Java, JavaScript and Python in many ways, as different users, under the real loader. Compares
the functions of each stack, in order, and the sentence that explains the crash with what is expected (test/crashes/cases).

  --times N     crash each program N times (default: 100)
  --only TEXT   run only the cases whose names contain TEXT
  --copied WHEN copy the stacks only at the exit, or at the delivery of the signal as before Linux 6.16: exit, delivery
                (default: all crashes with the one, then with the other)
  --help        show this text

Needs root and BPF.`;

const OPTIONS = {
  times: { type: 'string', default: '100' },
  only: { type: 'string', default: '' },
  copied: { type: 'string', default: 'exit,delivery' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

await command(async () => {
  const flags = readFlags(OPTIONS);
  if (flags.help) {
    console.log(HELP);
    return 0;
  }
  const times = Number(flags.times);
  if (!Number.isInteger(times) || times < 1)
    throw new Failure(`--times is ${flags.times}; it must be a positive integer. See --help.`);
  const ways = flags.copied.split(',').map(wayOf);
  if (!isRoot()) throw new Failure('The loader needs root: sudo npm run crashes');
  await build();
  const prepared = await prepareCrashes();
  let counts = NO_TESTS;
  for (const copied of ways) counts = add(counts, await testCrashes(prepared, { copied, times, only: flags.only }));
  return report(counts);
});

function wayOf(text: string): 'exit' | 'delivery' {
  if (text === 'exit' || text === 'delivery') return text;
  throw new Failure(`--copied is ${text}; it must be exit or delivery. See --help.`);
}
