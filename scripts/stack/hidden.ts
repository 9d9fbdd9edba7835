// SPDX-License-Identifier: Apache-2.0
// A loader that cannot see the kernel's BTF.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOADER } from './program.ts';

const HIDDEN = `#!/bin/sh
exec unshare --mount sh -c 'mount -t tmpfs none /sys/kernel/btf && exec "${LOADER}" "$@"' sh "$@"
`;

/** Writes a program that runs the loader in a mount namespace where an empty file system hides the kernel's BTF. Returns its path. */
export function loaderWithoutBtf(directory: string): string {
  const loader = join(directory, 'loader-without-btf');
  writeFileSync(loader, HIDDEN, { mode: 0o700 });
  return loader;
}
