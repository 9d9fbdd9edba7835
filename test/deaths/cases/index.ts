// SPDX-License-Identifier: Apache-2.0
// The conformance cases: what happens (a case of the undertaker) and what the record of each death must say about it beyond what
// the undertaker itself knows. A new case is one entry in a file here and one in its twin undertaker/cases_*.go.
import type { Case } from './case.ts';
import { handledCases } from './handled.ts';
import { kernelCases } from './kernel.ts';
import { senderCases } from './sender.ts';
import { statusCases } from './status.ts';
import { worldCases } from './world.ts';

export const cases: readonly Case[] = [...statusCases, ...senderCases, ...kernelCases, ...handledCases, ...worldCases];
