// SPDX-License-Identifier: Apache-2.0
// One machine of the last run: its transcript, and what it was to run.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
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
  const [nodeArch, arch] = name === 'arm64' ? ['arm64', 'arm64'] : ['x64', 'amd64'];
  const packed = (file: string) => readFileSync(join(DIRECTORY, `root-${arch}`, file), 'utf8');
  const transcript = existsSync(path) ? readTranscript(path, arch) : null;
  if (transcript === null) return { path, cases: [], times: 0, symbolsOf: () => [], transcript };
  const ids = new Set(packed('cases').split('\n'));
  return {
    path,
    cases: machineCases(nodeArch).filter(({ id }) => ids.has(id)),
    times: JSON.parse(packed('crashes.json')).times,
    symbolsOf: (program) => {
      const file = join(DIRECTORY, `symbols-${arch}`, `${program}.symbols`);
      return existsSync(file) ? readSymbols(file) : [];
    },
    transcript,
  };
}
