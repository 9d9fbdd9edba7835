// SPDX-License-Identifier: Apache-2.0
// The kernel matrix: boots Debian's kernels under QEMU's emulation, with the loader as it was built. The cases of test/deaths happen
// there; what the loader and the undertaker print is compared out here, by the same code as everywhere (test/kernels).
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../base/command.ts';
import { requirePackages } from '../base/debian.ts';
import { own } from '../base/owned.ts';
import { run, step } from '../base/run.ts';
import { progress } from '../base/screen.ts';
import { KERNELS, type Kernel, type KernelImage, kernelImage } from '../build/kernel-images.ts';
import { type Arch, packInitramfs, qemu, YIELDING } from '../build/machine.ts';
import { NODE, ROOT } from '../paths.ts';
import type { Counts } from './counts.ts';
import { vitest } from './vitest.ts';

/** What the machines printed, one file for each kernel. */
const TRANSCRIPTS = join(ROOT, 'build/kernels');
const PACKAGES = ['qemu-system-x86', 'qemu-system-arm', 'cpio', 'util-linux'];
/** Emulation is slow, but a machine that has not ended by then hangs. */
const LONGEST_MS = 20 * 60_000;
const BOOT_ATTEMPTS_MAX = 4;
const MEMORY_MIB = 512;
/** A machine ends with this process. */
const BOUND = ['setpriv', '--pdeathsig', 'KILL'];

const ALL = KERNELS.map(({ name }) => name);

export interface Machine {
  readonly kernel: Kernel;
  readonly image: KernelImage;
  /** Its first file system. */
  readonly archive: string;
}

/** The static programs and the list of cases. */
async function initramfs(arch: Arch): Promise<string> {
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
  return packInitramfs(root, programs, arch);
}

/** Runs a machine to its end; its console goes to the transcript. */
function boot({ kernel, image, archive }: Machine): Promise<void> {
  const { program, args, line } = qemu({ ...kernel, image: image.image, archive, memoryMiB: MEMORY_MIB });
  const transcript = createWriteStream(join(TRANSCRIPTS, `${kernel.name}.log`));
  const [first = '', ...rest] = [...BOUND, ...YIELDING, program, ...args, '-serial', 'stdio', '-append', line];
  const machine = own(
    spawn(first, rest, { stdio: ['ignore', 'pipe', 'pipe'], timeout: LONGEST_MS, killSignal: 'SIGKILL' }),
  );
  machine.stdout.pipe(transcript, { end: false });
  machine.stderr.pipe(transcript, { end: false });
  return new Promise((resolve, reject) => {
    machine.on('error', reject);
    machine.on('close', () => transcript.end(resolve));
  });
}

/**
 * Boots until the init has printed a line. Emulated processors sometimes trip over a kernel that patches its own code at boot (int3 in
 * a static call): that is before any program of ours runs, so no failure of ours is excused.
 */
async function bootToInit(machine: Machine): Promise<void> {
  const { name } = machine.kernel;
  for (let attempt = 1; attempt <= BOOT_ATTEMPTS_MAX; attempt += 1) {
    await boot(machine);
    if (/^@/m.test(readFileSync(join(TRANSCRIPTS, `${name}.log`), 'utf8'))) return;
    progress(`${name}: did not reach its init (attempt ${attempt} of ${BOOT_ATTEMPTS_MAX})\n`);
  }
}

/** Finds the kernels and packs their machines, the slowest first. */
export async function prepareKernels(names: readonly string[] = ALL): Promise<readonly Machine[]> {
  const unknown = names.find((name) => !ALL.includes(name));
  if (unknown !== undefined) throw new Failure(`There is no kernel ${unknown}; there are ${ALL.join(', ')}.`);
  await requirePackages(PACKAGES, 'The kernel matrix');
  rmSync(TRANSCRIPTS, { recursive: true, force: true });
  mkdirSync(TRANSCRIPTS, { recursive: true });
  const archives = new Map<Arch, string>();
  const machines: Machine[] = [];
  for (const kernel of KERNELS.filter(({ name }) => names.includes(name))) {
    const { arch } = kernel;
    const archive = archives.get(arch) ?? (await step(`packing the machine for ${arch}`, () => initramfs(arch)));
    archives.set(arch, archive);
    machines.push({ kernel, archive, image: await kernelImage(kernel) });
  }
  return machines.sort((a, b) => Number(b.kernel.arch === 'arm64') - Number(a.kernel.arch === 'arm64'));
}

/**
 * Runs all machines to their ends, two at a time: of the two processors that each has, one mostly waits. Until `others` have ended, only
 * one runs.
 */
export async function bootKernels(
  machines: readonly Machine[],
  others: Promise<void> = Promise.resolve(),
): Promise<void> {
  const waiting = [...machines];
  const turns = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { kernel, image } = next;
      const start = performance.now();
      await bootToInit(next);
      writeFileSync(join(TRANSCRIPTS, `${kernel.name}.package`), image.version);
      progress(`${kernel.name}: ${image.version} ended after ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
    }
  };
  await Promise.all([turns(), others.then(turns)]);
}

/** Compares what the machines printed with what the cases expect. */
export function testKernels(names: readonly string[] = ALL): Promise<Counts> {
  return vitest(['test/kernels'], { WHODUNIT_TEST_KERNELS: names.join(',') });
}
