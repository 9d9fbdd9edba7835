// SPDX-License-Identifier: Apache-2.0
// One machine of the last run: its transcript, and what it ran.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { KERNELS } from '../../scripts/build/kernel-images.ts';
import { ROOT } from '../../scripts/stack/program.ts';
import type { Case } from '../deaths/cases/case.ts';
import { machineCases } from './cases.ts';
import { readSymbols, type Symbols } from './stack.ts';
import { readTranscript, type Transcript } from './transcript.ts';

export const DIRECTORY = join(ROOT, 'build/kernels');

export interface Machine {
  readonly path: string;
  readonly cases: readonly Case[];
  /** How often each program of crashes.ts crashes. */
  readonly times: number;
  /** Empty: the program has its names. */
  readonly symbolsOf: (program: string) => Symbols;
  /** null: the machine was not booted. */
  readonly transcript: Transcript | null;
}

export function readMachine(name: string): Machine {
  const path = join(DIRECTORY, `${name}.log`);
  const { arch = 'amd64' } = KERNELS.find((kernel) => kernel.name === name) ?? {};
  const transcript = existsSync(path) ? readTranscript(path, arch) : null;
  const ids = transcript?.runs?.cases ?? [];
  return {
    path,
    cases: machineCases(arch === 'amd64' ? 'x64' : arch).filter(({ id }) => ids.includes(id)),
    times: transcript?.runs?.times ?? 0,
    symbolsOf: (program) => {
      const file = join(DIRECTORY, `symbols-${arch}`, `${program}.symbols`);
      return existsSync(file) ? readSymbols(file) : [];
    },
    transcript,
  };
}
