// SPDX-License-Identifier: Apache-2.0
// The conformance cases that need only our own programs, and a loader that cannot see the kernel's BTF.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOADER } from '../../scripts/stack/program.ts';
import { gracefulCases } from './cases/graceful.ts';
import { handledCases } from './cases/handled.ts';
import { kernelCases } from './cases/kernel.ts';
import { senderCases } from './cases/sender.ts';
import { statusCases } from './cases/status.ts';
import { stoppedCases } from './cases/stopped.ts';

export const OWN_CASES = [
  ...statusCases,
  ...senderCases,
  ...kernelCases,
  ...handledCases,
  ...stoppedCases,
  ...gracefulCases,
].filter(({ arch }) => arch === undefined || arch === process.arch);

const HIDDEN = `#!/bin/sh
exec unshare --mount sh -c 'mount -t tmpfs none /sys/kernel/btf && exec "${LOADER}" "$@"' sh "$@"
`;

/** Writes a program that runs the loader in a mount namespace where an empty file system hides the kernel's BTF. Returns its path. */
export function loaderWithoutBtf(directory: string): string {
  const loader = join(directory, 'loader-without-btf');
  writeFileSync(loader, HIDDEN, { mode: 0o700 });
  return loader;
}
