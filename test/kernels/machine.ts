// SPDX-License-Identifier: Apache-2.0
// One machine of the last run: its transcript, and its cases.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../scripts/stack/program.ts';
import type { Case } from '../deaths/cases/case.ts';
import { machineCases } from './cases.ts';
import { readTranscript, type Transcript } from './transcript.ts';

export const DIRECTORY = join(ROOT, 'build/kernels');

export interface Machine {
  readonly path: string;
  readonly cases: readonly Case[];
  /** null: the machine was not booted. */
  readonly transcript: Transcript | null;
}

export function readMachine(name: string): Machine {
  const path = join(DIRECTORY, `${name}.log`);
  const [nodeArch, arch] = name === 'arm64' ? ['arm64', 'arm64'] : ['x64', 'amd64'];
  return { path, cases: machineCases(nodeArch), transcript: existsSync(path) ? readTranscript(path, arch) : null };
}
