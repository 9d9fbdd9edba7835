// SPDX-License-Identifier: Apache-2.0
// The container of a process by name (docs/decisions/0096): what Docker or Podman say of it (runtime-answers.ts), else what its cgroup and
// its UTS namespace say. placement.ts decides whether it is in one.
import type { Actor } from '../wire/event.ts';
import type { Host } from './host.ts';
import { isContained, type Placement } from './placement.ts';
import type { Image } from './runtime-answers.ts';

export interface Container {
  /** null: not known. */
  readonly name: string | null;
  readonly image: Image | null;
  /** The project and the service of Docker Compose, as labels of the container say. Claims: an image can carry labels, too. */
  readonly project: string | null;
  readonly service: string | null;
  /** Of the UTS namespace, which root in the container may name. A claim. null: it has none of its own, or it is not a host name. */
  readonly hostname: string | null;
  /** The hostname is only the beginning of the id, as Docker and Podman name a container for which no one chose a host name. */
  readonly isNumbered: boolean;
}

/** How Docker and Podman shorten an id. */
export const SHORT_ID_CHARS = 12;

/** Whatever root there may have called it, it is shown nowhere if it is none. */
const HOSTNAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;

/** Returns null for a process in no container. */
export function containerOf(
  { uts_hostname }: Pick<Actor, 'uts_hostname'>,
  placement: Placement,
  host: Pick<Host, 'name' | 'containerById'>,
): Container | null {
  if (!isContained(placement)) return null;
  const { containerId, containerName } = placement;
  const known = host.containerById(containerId);
  const hostname = hostnameOf(uts_hostname, host.name);
  return {
    name: containerName ?? known?.name ?? null,
    image: known?.image ?? null,
    project: known?.project ?? null,
    service: known?.service ?? null,
    hostname,
    isNumbered: hostname !== null && hostname.length >= SHORT_ID_CHARS && containerId?.startsWith(hostname) === true,
  };
}

/** Containers on the network of the machine have a UTS namespace, but its name. null: none of its own. */
function hostnameOf(name: string | null, machine: string): string | null {
  if (name === null || !HOSTNAME.test(name)) return null;
  return name === machine || name.startsWith(`${machine}.`) || machine.startsWith(`${name}.`) ? null : name;
}

/** The letters of random names in Kubernetes: none that make words (k8s.io/apimachinery/pkg/util/rand). */
const RANDOM = '[bcdfghjklmnpqrstvwxz2456789]';
/** What a Deployment (hash of its template, then random), a DaemonSet, a Job or a CronJob (minutes, then random) put behind their name. */
const RANDOM_END = new RegExp(`(?:-(?:${RANDOM}{6,10}|\\d{8}))?-${RANDOM}{5}$`);
/** What a StatefulSet or an indexed Job puts there. */
const ORDINAL_END = /-\d{1,5}$/;
/** Kubelet cuts longer names: their ends are missing. */
const HOSTNAME_CHARS_MAX = 63;

/**
 * The name of the workload in a pod's host name: the same for all of its pods, so that they are one service. A guess by the form of the name,
 * of a name that is a claim anyway.
 */
export function workloadIn(podHostname: string): string {
  if (podHostname.length >= HOSTNAME_CHARS_MAX) return podHostname;
  const end = RANDOM_END.test(podHostname) ? RANDOM_END : ORDINAL_END;
  return podHostname.replace(end, '') || podHostname;
}
