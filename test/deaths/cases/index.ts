// SPDX-License-Identifier: Apache-2.0
// The conformance cases: each names a case of the undertaker, and what the record of each termination must say beyond what the
// undertaker reports. A new case needs an entry in a file here and one in its twin undertaker/cases_*.go.
import type { Case } from './case.ts';
import { gracefulCases, gracefulWorldCases } from './graceful.ts';
import { handledCases } from './handled.ts';
import { kernelCases } from './kernel.ts';
import { senderCases } from './sender.ts';
import { statusCases } from './status.ts';
import { stoppedCases } from './stopped.ts';
import { worldCases } from './world.ts';

export const cases: readonly Case[] = [
  ...statusCases,
  ...senderCases,
  ...kernelCases,
  ...handledCases,
  ...stoppedCases,
  ...gracefulCases,
  ...gracefulWorldCases,
  ...worldCases,
];
