// SPDX-License-Identifier: Apache-2.0
// The facts about this machine. io/host.ts reads them.
import type { Memory } from './memory.ts';
import type { ContainerFacts } from './runtime-answers.ts';

/** /proc/sys/kernel/core_pattern and core_uses_pid. */
export interface CorePattern {
  readonly pattern: string;
  readonly usesPid: boolean;
}

export interface Host {
  readonly id: string | null;
  readonly name: string;
  /** OpenTelemetry's `host.arch`: amd64, arm64, … */
  readonly arch: string;
  readonly osVersion: string;
  /** From the host's /etc/passwd. They do not apply in containers. */
  readonly userNames: ReadonlyMap<number, string>;
  /** The memory shortly before a time (ns since 1970). null: not known. */
  readonly memoryBefore: (timeNs: bigint) => Memory | null;
  /** Where core dumps go. null: not known. */
  readonly corePattern: () => CorePattern | null;
  /** What Docker or Podman say of the container with this id. null: nothing, or they are not asked. */
  readonly containerById: (id: string | null) => ContainerFacts | null;
  /** What our own OTEL_RESOURCE_ATTRIBUTES say about this host and its fleet: cluster, cloud, environment. For records that have none. */
  readonly tags: Readonly<Record<string, string>>;
}

/** What describes our own process, container or pod, which an operator may have added, says nothing about the victim. */
const OWN = /^(?:service|process|thread|container|faas|telemetry|whodunit)\.|^k8s\.(?!cluster\.|node\.)/;

/** Returns the part of our own OTEL_RESOURCE_ATTRIBUTES that is true of every process on this host. */
export function tagsOf(named: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(named).filter(([key, value]) => value !== '' && !OWN.test(key)));
}
