// The kernel matrix: Debian's kernels under QEMU's emulation, with the loader as it was built. The cases of test/deaths happen there;
// what the loader and the undertaker said is judged out here, by the same code as everywhere (test/kernels).
//
// SPDX-License-Identifier: Apache-2.0

import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KERNELS, kernelImage } from './kernel-images.mjs';
import { packInitramfs, qemu } from './machine.mjs';
import { requirePackages } from './packages.mjs';
import { Failure, NODE, ROOT, run, step } from './steps.mjs';
import { vitest } from './vitest.mjs';

/** What the machines said, one file a kernel. */
const TRANSCRIPTS = join(ROOT, 'build/kernels');
const PACKAGES = ['qemu-system-x86', 'qemu-system-arm', 'cpio'];
/** Emulation is slow; a machine that is not done by then hangs. */
const LONGEST_MS = 15 * 60_000;
const BOOT_ATTEMPTS_MAX = 4;
/** How many run at a time: of the two processors that each has, one mostly waits. */
const MACHINES_AT_A_TIME = 2;
const MEMORY_MIB = 512;

/** The static programs and the list of cases. */
async function initramfs(arch) {
  const root = join(TRANSCRIPTS, `root-${arch}`);
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  const names = await run(NODE, [join(ROOT, 'test/kernels/cases.ts'), arch === 'amd64' ? 'x64' : arch]);
  writeFileSync(join(root, 'cases'), names);
  const programs = {
    init: './test/kernels/vm',
    loader: './loader',
    undertaker: './test/deaths/undertaker',
    mortal: './examples/mortal',
  };
  return await packInitramfs(root, programs, arch);
}

/** Runs a machine to its end; its console goes into the transcript. */
function boot(kernel, image, archive) {
  const { program, args, line } = qemu({ ...kernel, image, archive, memoryMiB: MEMORY_MIB });
  const transcript = createWriteStream(join(TRANSCRIPTS, `${kernel.name}.log`));
  const machine = spawn(program, [...args, '-serial', 'stdio', '-append', line], { stdio: ['ignore', 'pipe', 'pipe'] });
  machine.stdout.pipe(transcript, { end: false });
  machine.stderr.pipe(transcript, { end: false });
  const longest = setTimeout(() => machine.kill('SIGKILL'), LONGEST_MS);
  return new Promise((resolve, reject) => {
    machine.on('error', reject);
    machine.on('close', () => {
      clearTimeout(longest);
      transcript.end(resolve);
    });
  });
}

/**
 * Boots until the init has said something. Emulated processors now and then trip over a kernel that patches its own code at boot
 * (int3 in a static call): that is before any program of ours runs, so nothing of ours is excused.
 */
async function bootToInit(kernel, image, archive) {
  for (let attempt = 1; attempt <= BOOT_ATTEMPTS_MAX; attempt += 1) {
    await boot(kernel, image, archive);
    if (/^@/m.test(readFileSync(join(TRANSCRIPTS, `${kernel.name}.log`), 'utf8'))) return;
    console.error(`${kernel.name}: did not come as far as its init (attempt ${attempt} of ${BOOT_ATTEMPTS_MAX})`);
  }
}

async function bootAll(kernels) {
  await requirePackages(PACKAGES, 'The kernel matrix');
  rmSync(TRANSCRIPTS, { recursive: true, force: true });
  mkdirSync(TRANSCRIPTS, { recursive: true });
  const archives = new Map();
  for (const arch of new Set(kernels.map(({ arch }) => arch))) {
    await step(`packing the machine for ${arch}`, async () => archives.set(arch, await initramfs(arch)));
  }
  const ready = [];
  for (const kernel of kernels) ready.push({ kernel, ...(await kernelImage(kernel)) });
  // The slowest first, so that the others run beside it.
  ready.sort((a, b) => Number(b.kernel.arch === 'arm64') - Number(a.kernel.arch === 'arm64'));
  const turns = async () => {
    for (let next = ready.shift(); next !== undefined; next = ready.shift()) {
      const { kernel, image, version } = next;
      const start = performance.now();
      console.error(`${kernel.name}: ${version} boots`);
      await bootToInit(kernel, image, archives.get(kernel.arch));
      writeFileSync(join(TRANSCRIPTS, `${kernel.name}.package`), version);
      console.error(`${kernel.name}: ended after ${((performance.now() - start) / 1000).toFixed(1)} s`);
    }
  };
  await Promise.all(Array.from({ length: MACHINES_AT_A_TIME }, turns));
}

/** Boots (unless asked not to) and judges. Gives vitest's counts. */
export async function testKernels({ names = KERNELS.map(({ name }) => name), judgeOnly = false } = {}) {
  const unknown = names.find((name) => !KERNELS.some((kernel) => kernel.name === name));
  if (unknown !== undefined)
    throw new Failure(`there is no kernel ${unknown}; there are ${KERNELS.map(({ name }) => name).join(', ')}.`);
  if (!judgeOnly) await bootAll(KERNELS.filter(({ name }) => names.includes(name)));
  return vitest(['test/kernels'], { WHODUNIT_TEST_KERNELS: names.join(',') });
}
