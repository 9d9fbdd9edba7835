// SPDX-License-Identifier: Apache-2.0
// The kernel matrix: boots Debian's kernels under QEMU with the built loader. The cases of test/deaths run in the virtual machine. What
// the loader and the undertaker print there is compared on this machine, with the code of test/deaths (test/kernels).
import { spawn } from 'node:child_process';
import { copyFileSync, createWriteStream, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { requirePackages } from '../base/debian.ts';
import { own } from '../base/owned.ts';
import { run, step } from '../base/run.ts';
import { progress } from '../base/screen.ts';
import { buildCrashPrograms, copyLibraries } from '../build/crash-programs.ts';
import { KERNELS, type Kernel, type KernelImage, kernelImage } from '../build/kernel-images.ts';
import { type Arch, packInitramfs, qemu, YIELDING } from '../build/machine.ts';
import { NODE, ROOT } from '../paths.ts';
import { BTF_IN_MACHINE } from './chosen-kernels.ts';
import type { Counts } from './counts.ts';
import { vitest } from './vitest.ts';

/** The console output of the machines, one file for each kernel. */
const TRANSCRIPTS = join(ROOT, 'build/kernels');
const PACKAGES = ['qemu-system-x86', 'qemu-system-arm', 'cpio', 'util-linux', 'apparmor'];
/** The AppArmor profiles under which the loader is started: that of Docker, and the one that is shipped. */
const PROFILES = ['test/kernels/apparmor/docker-default', 'examples/apparmor/whodunit-loader'];
/** What AppArmor mediates on the machine: this machine may have no AppArmor that the compiler could ask. */
const FEATURES = '/etc/apparmor.d/abi/3.0';
/** Emulation is slow, but a machine that still runs after this time hangs. */
const RUN_WITHIN_MS = 20 * 60_000;
/** Read by the init (test/kernels/vm). */
const FEW_CASES = 'WHODUNIT_CASES=few';
const BOOT_ATTEMPTS_MAX = 4;
const MEMORY_MIB = 512;
/** Kills a machine when this process ends. */
const KILLED_WITH_PARENT = ['setpriv', '--pdeathsig', 'KILL'];

/** Those that `npm test` boots. */
export const IN_TESTS = KERNELS.filter(({ inTests }) => inTests !== 'nothing');

export interface Machine {
  readonly kernel: Kernel;
  readonly image: KernelImage;
  /** The path of its initramfs. */
  readonly archive: string;
  /** Further parameters of the kernel: what the init reads (test/kernels/vm). */
  readonly parameters: readonly string[];
}

/** What the machines run. */
export interface Load {
  /** Whether the conformance cases run, and the loader is started under AppArmor's profiles and lockdown. */
  readonly cases: boolean;
  /** How often each program of test/kernels/crashes.ts crashes. */
  readonly crashes: number;
  /** Whether processes terminate in storms while the loader is killed and started again. */
  readonly storms: boolean;
  /** How often a loader without the kernel's types finds them. */
  readonly calibrations: number;
  /** Whether the kernels that have `inTests: 'few cases'` run these alone. */
  readonly reduced: boolean;
  /** A file with the types of the kernels, which the machine has as BTF_IN_MACHINE; null: none. */
  readonly btf: string | null;
}

export const FULL: Load = { cases: true, crashes: 20, storms: false, calibrations: 3, reduced: false, btf: null };
/** Emulation is slow: the matrix is the longest stage of all. */
export const REDUCED: Load = { cases: true, crashes: 3, storms: false, calibrations: 3, reduced: true, btf: null };

/** Packs the programs, the lists of cases and of crashes, and the AppArmor profiles. Returns the path of the archive. */
async function initramfs(arch: Arch, { cases, crashes, btf }: Load): Promise<string> {
  const root = join(TRANSCRIPTS, `root-${arch}`);
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  for (const list of ['cases', 'few-cases']) {
    const names = await run(NODE, [join(ROOT, 'test/kernels/cases.ts'), list, arch === 'amd64' ? 'x64' : arch]);
    writeFileSync(join(root, list), cases ? names : '');
  }
  await buildCrashPrograms(arch, { programs: join(root, 'crashes'), symbols: join(TRANSCRIPTS, `symbols-${arch}`) });
  await copyLibraries(arch, root);
  writeFileSync(
    join(root, 'crashes.json'),
    await run(NODE, [join(ROOT, 'test/kernels/crashes.ts'), '/crashes', String(crashes)]),
  );
  if (btf !== null) copyFileSync(btf, join(root, BTF_IN_MACHINE));
  mkdirSync(join(root, 'apparmor'));
  for (const profile of PROFILES) {
    const to = ['--ofile', join(root, 'apparmor', basename(profile))];
    const alone = ['--skip-kernel-load', '--skip-cache', '--features-file', FEATURES];
    await run('/usr/sbin/apparmor_parser', [...alone, ...to, join(ROOT, profile)]);
  }
  const programs = {
    init: './test/kernels/vm',
    loader: './loader',
    observe: './loader/internal/calibrate/observe',
    undertaker: './test/deaths/undertaker',
    mortal: './examples/mortal',
  };
  return packInitramfs(root, programs, arch);
}

/** Runs a machine until it exits, and writes its console to the transcript. */
function boot({ kernel, image, archive, parameters }: Machine): Promise<void> {
  const { program, args, line } = qemu({ ...kernel, image: image.image, archive, memoryMiB: MEMORY_MIB });
  const transcript = createWriteStream(join(TRANSCRIPTS, `${kernel.name}.log`));
  const [first = '', ...rest] = [
    ...KILLED_WITH_PARENT,
    ...YIELDING,
    program,
    ...args,
    '-serial',
    'stdio',
    '-append',
    [line, ...kernel.parameters, ...parameters].join(' '),
  ];
  const machine = own(
    spawn(first, rest, { stdio: ['ignore', 'pipe', 'pipe'], timeout: RUN_WITHIN_MS, killSignal: 'SIGKILL' }),
  );
  machine.stdout.pipe(transcript, { end: false });
  machine.stderr.pipe(transcript, { end: false });
  return new Promise((resolve, reject) => {
    machine.on('error', reject);
    machine.on('close', () => transcript.end(resolve));
  });
}

/**
 * Boots until the init has printed a line. Emulated processors sometimes fail while the kernel patches its own code at boot (int3 in a
 * static call). This happens before any program of ours runs, so a retry hides no failure of ours.
 */
async function bootToInit(machine: Machine): Promise<void> {
  const { name } = machine.kernel;
  for (let attempt = 1; attempt <= BOOT_ATTEMPTS_MAX; attempt += 1) {
    await boot(machine);
    if (/^@/m.test(readFileSync(join(TRANSCRIPTS, `${name}.log`), 'utf8'))) return;
    progress(`${name}: did not reach init (attempt ${attempt} of ${BOOT_ATTEMPTS_MAX})\n`);
  }
}

/** Finds or downloads the kernels and packs their machines. Returns them slowest first. */
export async function prepareKernels(load: Load, kernels: readonly Kernel[]): Promise<readonly Machine[]> {
  await requirePackages(PACKAGES, 'The kernel matrix');
  mkdirSync(TRANSCRIPTS, { recursive: true });
  for (const { name } of kernels) rmSync(join(TRANSCRIPTS, `${name}.log`), { force: true });
  const archives = new Map<Arch, string>();
  const machines: Machine[] = [];
  for (const kernel of kernels) {
    const { arch, inTests } = kernel;
    const archive = archives.get(arch) ?? (await step(`packing the machine for ${arch}`, () => initramfs(arch, load)));
    archives.set(arch, archive);
    const parameters = [
      `WHODUNIT_CALIBRATIONS=${load.calibrations}`,
      ...(load.storms ? ['WHODUNIT_STORMS=1'] : []),
      ...(load.reduced && inTests === 'few cases' ? [FEW_CASES] : []),
    ];
    machines.push({ kernel, archive, image: await kernelImage(kernel), parameters });
  }
  return machines.sort((a, b) => Number(b.kernel.arch === 'arm64') - Number(a.kernel.arch === 'arm64'));
}

/**
 * Runs all machines until they exit, two at a time: each has two processors, of which one is mostly idle. Until `others` have ended, only
 * one runs at a time.
 */
export async function bootKernels(
  machines: readonly Machine[],
  others: Promise<void> = Promise.resolve(),
): Promise<void> {
  const waiting = [...machines];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { kernel, image } = next;
      const start = performance.now();
      await bootToInit(next);
      writeFileSync(join(TRANSCRIPTS, `${kernel.name}.package`), image.version);
      progress(
        `${kernel.name}: ${image.version} finished after ${((performance.now() - start) / 1000).toFixed(1)} s\n`,
      );
    }
  };
  await Promise.all([worker(), others.then(worker)]);
}

/** Compares the transcripts with the expectations of the cases. */
export function testKernels(kernels: readonly Kernel[]): Promise<Counts> {
  return vitest(['test/kernels'], { WHODUNIT_TEST_KERNELS: kernels.map(({ name }) => name).join(',') });
}
