// SPDX-License-Identifier: Apache-2.0
// The functions of a program, as binutils reads them: independent of the loader's reader.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

interface Symbol {
  readonly start: bigint;
  readonly end: bigint;
  readonly name: string;
}

/** What compilers append to a part or a variant of a function. */
const CLONE = / ?(?:\[clone )?\.(?:cold|part|isra|constprop|lto_priv|llvm)\b.*$/;

const known = new Map<string, readonly Symbol[]>();

/** The function at the address of a file, from the symbols beside it if it is stripped. undefined: none is known. */
export function functionAt(file: string, address: bigint): string | undefined {
  const path = existsSync(`${file}.symbols`) ? `${file}.symbols` : file;
  const symbols = known.get(path) ?? read(path);
  known.set(path, symbols);
  return symbols.find(({ start, end }) => address >= start && address < end)?.name;
}

function read(path: string): Symbol[] {
  const { stdout } = spawnSync('nm', ['--demangle', '--defined-only', '--print-size', path], { encoding: 'utf8' });
  return stdout.split('\n').flatMap((line) => {
    const [, start = '', size = '', name = ''] = /^([0-9a-f]+) ([0-9a-f]+) [TtWwi] (.+)$/.exec(line) ?? [];
    if (start === '') return [];
    const from = BigInt(`0x${start}`);
    return [{ start: from, end: from + BigInt(`0x${size}`), name: name.replace(CLONE, '') }];
  });
}
