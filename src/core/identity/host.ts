// SPDX-License-Identifier: Apache-2.0
// The machine on which processes terminate, as a value. Reading it is left to io/host.ts.

export interface Host {
  readonly id: string | null;
  readonly name: string;
  /** As OpenTelemetry names it: amd64, arm64, … */
  readonly arch: string;
  readonly osVersion: string;
  /** Of the host's own /etc/passwd; a container has others. */
  readonly userNames: ReadonlyMap<number, string>;
}
