// SPDX-License-Identifier: Apache-2.0
// The facts about this machine. io/host.ts reads them.

export interface Host {
  readonly id: string | null;
  readonly name: string;
  /** OpenTelemetry's `host.arch`: amd64, arm64, … */
  readonly arch: string;
  readonly osVersion: string;
  /** From the host's /etc/passwd. They do not apply in containers. */
  readonly userNames: ReadonlyMap<number, string>;
}
