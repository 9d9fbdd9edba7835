// SPDX-License-Identifier: Apache-2.0
// Packs the virtual machine of the chaos tests: a kernel of the matrix, an initramfs with its virtio drivers, loader, service, Node.js
// and reaper, and an empty disk for the queue. test/chaos/machine.ts boots it.
import { copyFileSync, cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../base/command.ts';
import { requirePackages } from '../base/debian.ts';
import { run, step } from '../base/run.ts';
import { NODE, ROOT } from '../paths.ts';
import { KERNELS, kernelImage } from './kernel-images.ts';
import { type MachineCommand, packInitramfs, qemu } from './machine.ts';

/** The oldest kernel of the matrix with uncompressed drivers and built-in ext4. */
const KERNEL = '6.1';
const PACKAGES = ['qemu-system-x86', 'cpio', 'e2fsprogs'];
/** The drivers of the disk and the port, in load order (dependencies first). */
const DRIVERS = [
  'virtio/virtio',
  'virtio/virtio_ring',
  'virtio/virtio_pci_legacy_dev',
  'virtio/virtio_pci_modern_dev',
  'virtio/virtio_pci',
  'block/virtio_blk',
  'char/virtio_console',
];
const DISK_SIZE = '64M';
/** The initramfs alone takes 200. */
const MEMORY_MIB = 1024;

export interface ChaosMachine extends MachineCommand {
  readonly disk: string;
}

/** Packs it below `directory`. */
export async function packMachine(directory: string): Promise<ChaosMachine> {
  if (process.arch !== 'x64')
    throw new Failure(
      `The virtual machine of the chaos tests is amd64 and runs this machine's Node.js, which is for ${process.arch}.`,
    );
  await requirePackages(PACKAGES, 'The virtual machine of the chaos tests');
  const kernel = KERNELS.find(({ name }) => name === KERNEL);
  if (kernel === undefined) throw new Error(`the matrix has no kernel ${KERNEL}`);
  const { image, modules } = await kernelImage(kernel);
  if (modules === undefined) throw new Failure(`Debian's package of kernel ${KERNEL} has no modules.`);
  const root = join(directory, 'root');
  const disk = join(directory, 'disk.ext4');
  const archive = await step('packing the virtual machine of the chaos tests', async () => {
    rmSync(root, { recursive: true, force: true });
    for (const name of ['drivers', 'state', 'whodunit']) mkdirSync(join(root, name), { recursive: true });
    for (const [index, name] of DRIVERS.entries())
      copyFileSync(
        join(modules, 'kernel/drivers', `${name}.ko`),
        join(root, 'drivers', `${index}-${basename(name)}.ko`),
      );
    await copyService(root);
    rmSync(disk, { force: true });
    await run('mkfs.ext4', ['-q', disk, DISK_SIZE]);
    const programs = { init: './test/chaos/vm', loader: './loader', reaper: './test/chaos/reaper' };
    return await packInitramfs(root, programs, kernel.arch);
  });
  return { disk, ...qemu({ ...kernel, image, archive, memoryMiB: MEMORY_MIB }) };
}

/** Copies the service as installed: dist/, Node.js and its shared libraries. */
async function copyService(root: string): Promise<void> {
  const home = join(root, 'whodunit');
  cpSync(join(ROOT, 'dist'), join(home, 'dist'), { recursive: true });
  copyFileSync(join(ROOT, 'package.json'), join(home, 'package.json'));
  copyFileSync(await run('readlink', ['-f', NODE]).then((path) => path.trim()), join(root, 'node'));
  const linked = await run('ldd', [join(root, 'node')]);
  for (const [, path = ''] of linked.matchAll(/(\/\S+) \(0x/g)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    copyFileSync(path, join(root, path));
  }
  if (!existsSync(join(root, 'lib64')))
    throw new Failure('ldd lists no dynamic loader for Node.js; the virtual machine needs it.', linked);
}
