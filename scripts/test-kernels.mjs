// `npm run test:kernels`: the kernel matrix by itself. Last line: `N passed, N failed`.
//
// SPDX-License-Identifier: Apache-2.0

import { KERNELS } from './kernel-images.mjs';
import { testKernels } from './kernel-matrix.mjs';
import { command, install, NODE, ROOT, readFlags, run } from './steps.mjs';

const HELP = `npm run test:kernels -- [options]

Boots Debian's kernels under QEMU and scores the conformance cases there.

  --kernel NAMES  some of them, with commas: ${KERNELS.map(({ name }) => name).join(', ')}
  --judge         judge what the last run left in build/kernels, without booting
  --write         write docs/kernels.md from what is in build/kernels afterwards
  --help          this text`;

const OPTIONS = {
  kernel: { type: 'string' },
  judge: { type: 'boolean' },
  write: { type: 'boolean' },
  help: { type: 'boolean' },
};

await command(async () => {
  const flags = readFlags(OPTIONS);
  if (flags.help) {
    console.log(HELP);
    return 0;
  }
  await install();
  const { passed, failed } = await testKernels({ names: flags.kernel?.split(','), judgeOnly: flags.judge });
  if (flags.write) process.stdout.write(await run(NODE, [`${ROOT}/test/kernels/write.ts`]));
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
});
