// SPDX-License-Identifier: Apache-2.0
// `npm run test:kernels`: only the kernel matrix. Last line: `N passed, N failed`.
import { command, Failure, readFlags } from '../base/command.ts';
import { run } from '../base/run.ts';
import { KERNELS } from '../build/kernel-images.ts';
import { NODE, ROOT } from '../paths.ts';
import { chosenKernels } from '../suites/chosen-kernels.ts';
import { report } from '../suites/counts.ts';
import { bootKernels, FULL, type Load, prepareKernels, testKernels } from '../suites/kernels.ts';

const HELP = `npm run test:kernels -- [options]

Boots Debian's kernels under QEMU, scores the conformance cases there, and compares the stacks of crashes.

  --kernel NAMES  run only these kernels, separated by commas: ${KERNELS.map(({ name }) => name).join(', ')}
  --image FILE    run only this kernel: an image for x86-64 (bzImage). It needs a serial console (8250), an initial RAM file system, cgroup v2 with
                  memory and pids, BPF with raw tracepoints, and a BPF file system. Its row is printed, under the name of the file
  --btf FILE      let the loader use this file's types for the kernel of --image
  --only PART     run only the conformance cases and what confines the loader, or only the programs whose stacks are
                  compared: cases, crashes. Or run only storms: thousands of processes terminate while the loader is killed
                  and started again, and each must have a record, be counted, or lie in a gap: storms
  --crashes N     let each of these programs crash N times (${FULL.crashes})
  --calibrations N  let the loader find the types of a kernel without BTF N times (${FULL.calibrations})
  --judge         do not boot; compare the output of the last run in build/kernels
  --write         afterwards, write docs/kernels.md from build/kernels
  --help          show this text`;

await command(async () => {
  const flags = readFlags({
    kernel: { type: 'string' },
    image: { type: 'string' },
    btf: { type: 'string' },
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
  const kernels = chosenKernels(flags);
  const load = { ...loadOf(flags.only, flags.crashes, flags.calibrations), btf: flags.btf ?? null };
  if (!flags.judge) await bootKernels(await prepareKernels(load, kernels));
  const counts = await testKernels(kernels);
  if (flags.image !== undefined)
    for (const { name } of kernels) process.stdout.write(await run(NODE, [`${ROOT}/test/kernels/section.ts`, name]));
  if (flags.write) process.stdout.write(await run(NODE, [`${ROOT}/test/kernels/write.ts`]));
  return report(counts);
});

function loadOf(only = '', crashes = String(FULL.crashes), calibrations = String(FULL.calibrations)): Load {
  if (!['', 'cases', 'crashes', 'storms'].includes(only))
    throw new Failure(`--only is ${only}; it must be cases, crashes or storms. See --help.`);
  for (const [flag, value] of Object.entries({ crashes, calibrations }))
    if (!/^[1-9]\d{0,3}$/.test(value))
      throw new Failure(`--${flag} is ${value}; it must be a positive integer. See --help.`);
  return {
    ...FULL,
    cases: only === '' || only === 'cases',
    crashes: only === '' || only === 'crashes' ? Number(crashes) : 0,
    storms: only === 'storms',
    calibrations: Number(calibrations),
  };
}
