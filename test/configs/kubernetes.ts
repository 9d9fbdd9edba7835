// SPDX-License-Identifier: Apache-2.0
// Replaces Kubernetes, which cannot run here: an API server with one pod of one deployment, and a cgroup like that of a kubelet for the
// container of the pod.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { ROOT, temporaryDirectory, until } from '../../scripts/stack/program.ts';

const EMPTY_WITHIN_MS = 10_000;

export const POD = {
  uid: '8c7f1d2e-3a4b-4c6d-8e8f-90a1b2c3d4e5',
  containerId: 'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00',
  name: 'checkout-5d4f8c7b9-x2x4z',
  namespace: 'shop',
  deployment: 'checkout',
  container: 'app',
  node: 'node-1',
} as const;
const REPLICA_SET = {
  name: 'checkout-5d4f8c7b9',
  hash: '5d4f8c7b9',
  uid: 'f00dfeed-0000-4000-8000-000000000001',
};

const owner = (kind: string, name: string, uid: string) => ({
  apiVersion: 'apps/v1',
  kind,
  name,
  uid,
  controller: true,
});
const OBJECTS: Readonly<Record<string, { kind: string; apiVersion: string; items: unknown[] }>> = {
  pods: {
    kind: 'PodList',
    apiVersion: 'v1',
    items: [
      {
        metadata: {
          name: POD.name,
          namespace: POD.namespace,
          uid: POD.uid,
          labels: { 'pod-template-hash': REPLICA_SET.hash },
          resourceVersion: '1',
          creationTimestamp: '2026-01-01T00:00:00Z',
          ownerReferences: [owner('ReplicaSet', REPLICA_SET.name, REPLICA_SET.uid)],
        },
        spec: { nodeName: POD.node, containers: [{ name: POD.container, image: 'checkout:1' }] },
        status: {
          phase: 'Running',
          podIP: '10.0.0.7',
          startTime: '2026-01-01T00:00:00Z',
          containerStatuses: [
            {
              name: POD.container,
              image: 'checkout:1',
              containerID: `containerd://${POD.containerId}`,
              restartCount: 0,
            },
          ],
        },
      },
    ],
  },
};

/** The resources that the service account of the shipped manifest may list. */
function permitted(): readonly string[] {
  const [role] = parseAllDocuments(readFileSync(join(ROOT, 'examples/kubernetes/collector.yaml'), 'utf8'))
    .map((document) => document.toJS())
    .filter(({ kind }) => kind === 'ClusterRole');
  return role.rules.flatMap(({ resources }: { resources: string[] }) => resources);
}

/** Answers lists that the manifest permits; keeps watches open without events. Returns the file for KUBECONFIG. */
export async function startApiServer(): Promise<{ kubeconfig: string; stop: () => void }> {
  const directory = temporaryDirectory();
  const may = permitted();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://api');
    const resource = url.pathname.split('/').at(-1) ?? '';
    const send = (code: number, body: object) => {
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (!may.includes(resource))
      send(403, { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Forbidden', code: 403 });
    // Rejects a streaming list, like an older server. The client then lists.
    else if (url.searchParams.has('sendInitialEvents'))
      send(422, { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Invalid', code: 422 });
    else if (url.searchParams.has('watch'))
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    else {
      const { kind = 'List', apiVersion = 'v1', items = [] } = OBJECTS[resource] ?? {};
      send(200, { kind, apiVersion, metadata: { resourceVersion: '1' }, items });
    }
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const kubeconfig = join(directory.path, 'kubeconfig');
  const text = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: `http://127.0.0.1:${port}` } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    users: [{ name: 'test', user: {} }],
    'current-context': 'test',
  };
  writeFileSync(kubeconfig, JSON.stringify(text));
  const stop = () => {
    server.closeAllConnections();
    server.close();
    directory.remove();
  };
  return { kubeconfig, stop };
}

/** The cgroup of the container: as kubelet makes it, and as an engine makes it that puts it in no cgroup of the pod. */
export const CGROUPS = {
  kubelet: `kubepods/pod${POD.uid}/${POD.containerId}`,
  engine: `system.slice/docker-${POD.containerId}.scope`,
} as const;

/** Makes a cgroup of the container, in the unified hierarchy, which it mounts itself. */
export function podCgroup(path: string): { directory: string; remove: () => Promise<void> } {
  const mount = temporaryDirectory();
  execFileSync('mount', ['-t', 'cgroup2', 'cgroup2', mount.path]);
  const directory = join(mount.path, `whodunit-test-${process.pid}/${path}`);
  mkdirSync(directory, { recursive: true });
  const remove = async () => {
    for (let path = directory; path !== mount.path; path = dirname(path)) await whenEmpty(path);
    execFileSync('umount', [mount.path]);
    mount.remove();
  };
  return { directory, remove };
}

/** Retries: a cgroup can be removed only after the terminated processes have left it. */
function whenEmpty(path: string): Promise<true> {
  return until(`the removal of ${path}`, EMPTY_WITHIN_MS, () => {
    try {
      rmdirSync(path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EBUSY') return undefined;
      throw error;
    }
  });
}
