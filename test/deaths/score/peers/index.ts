// SPDX-License-Identifier: Apache-2.0
// The other tools, in the order of the tables. scripts/commands/deaths.ts installs their packages.
import { bpftrace } from './bpftrace.ts';
import { exitsnoop } from './exitsnoop.ts';
import { forkstat } from './forkstat.ts';
import type { Peer } from './peer.ts';
import { killsnoop, sigsnoop } from './sigsnoop.ts';

export const peers: readonly Peer[] = [exitsnoop, forkstat, bpftrace, sigsnoop, killsnoop];
