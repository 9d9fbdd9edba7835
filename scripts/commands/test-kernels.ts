// SPDX-License-Identifier: Apache-2.0
// `npm run test:kernels`: only the kernel matrix. Last line: `N passed, N failed`.
import { command, Failure, readFlags } from '../base/command.ts';
import { run } from '../base/run.ts';
import { KERNELS } from '../build/kernel-images.ts';
import { NODE, ROOT } from '../paths.ts';
import { report } from '../suites/counts.ts';
import { bootKernels, FULL, type Load, prepareKernels, testKernels } from '../suites/kernels.ts';

const HELP = `npm run test:kernels -- [options]

Boots Debian's kernels under QEMU, scores the conformance cases there, and compares the stacks of crashes.

  --kernel NAMES  run only these kernels, separated by commas: ${KERNELS.map(({ name }) => name).join(', ')}
  --only PART     run only the conformance cases and what confines the loader, or only the programs whose stacks are
                  compared: cases, crashes
  --crashes N     let each of these programs crash N times (${FULL.crashes})
  --calibrations N  let the loader find the types of a kernel without BTF N times (${FULL.calibrations})
  --judge         do not boot; compare the output of the last run in build/kernels
  --write         afterwards, write docs/kernels.md from build/kernels
  --help          show this text`;

await command(async () => {
  const flags = readFlags({
    kernel: { type: 'string' },
    only: { type: 'string' },
    crashes: { type: 'string' },
    calibrations: { type: 'string' },
    judge: { type: 'boolean' },
    write: { type: 'boolean' },
    help: { type: 'boolean' },
  });
  if (flags.help) {
    console.log(HELP);
    return 0;
  }
  const names = flags.kernel?.split(',');
  const load = loadOf(flags.only, flags.crashes, flags.calibrations);
  if (!flags.judge) await bootKernels(await prepareKernels(load, names));
  const counts = await testKernels(names);
  if (flags.write) process.stdout.write(await run(NODE, [`${ROOT}/test/kernels/write.ts`]));
  return report(counts);
});

function loadOf(only = '', crashes = String(FULL.crashes), calibrations = String(FULL.calibrations)): Load {
  if (!['', 'cases', 'crashes'].includes(only))
    throw new Failure(`--only is ${only}; it must be cases or crashes. See --help.`);
  for (const [flag, value] of Object.entries({ crashes, calibrations }))
    if (!/^[1-9]\d{0,3}$/.test(value))
      throw new Failure(`--${flag} is ${value}; it must be a positive integer. See --help.`);
  return {
    ...FULL,
    cases: only !== 'crashes',
    crashes: only === 'cases' ? 0 : Number(crashes),
    calibrations: Number(calibrations),
  };
}
