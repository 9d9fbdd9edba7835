// SPDX-License-Identifier: Apache-2.0
// The conformance cases that need only our own programs.
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
