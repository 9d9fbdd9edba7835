// SPDX-License-Identifier: Apache-2.0
// Starts to follow a container runtime, if one is to be asked.
import type { Log } from '../log.ts';
import type { DockerContainers } from './containers.ts';

/** Containers are learned from now on; nothing waits for that. null: no socket is given. */
export async function followContainers(
  path: string | null,
  log: Log,
  signal: AbortSignal,
): Promise<DockerContainers | null> {
  if (path === null) return null;
  const { DockerContainers } = await import('./containers.ts');
  const containers = new DockerContainers({ path, log, signal });
  void containers.follow();
  return containers;
}
