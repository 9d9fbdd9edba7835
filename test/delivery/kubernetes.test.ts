// SPDX-License-Identifier: Apache-2.0
// The manifests of examples/kubernetes. chart.test.ts has the chart.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { ROOT } from '../../scripts/stack/program.ts';
import { containersOf, example, type Json, objects, workloadOf } from './manifests.ts';

describe('the check itself', () => {
  it.each([
    [
      'an unknown field',
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\nspec: {finalisers: []}\n',
      /unknown field "spec.finalisers"/,
    ],
    ['a field of the wrong type', 'apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: 1}\n', /cannot unmarshal/],
    ['an unknown kind', 'apiVersion: apps/v1\nkind: DemonSet\n', /no kind "DemonSet"/],
  ])('%s is rejected', (_, yaml, message) => {
    expect(() => objects(yaml)).toThrow(message);
  });
});

describe('the manifests', () => {
  it.each([
    [
      'daemonset.yaml',
      ['Namespace', 'ServiceAccount', 'DaemonSet', 'NetworkPolicy'],
      ['CHOWN', 'FOWNER'],
      ['DAC_READ_SEARCH'],
    ],
    ['sidecar.yaml', ['Deployment'], [], []],
    ['unload.yaml', ['DaemonSet'], [], ['DAC_READ_SEARCH']],
  ])('%s: each container has the privileges of docs/deployment.md, and no others', (name, kinds, ofOwner, ofStacks) => {
    const all = example(name);
    expect(all.map(({ kind }) => kind)).toEqual(kinds);
    const workload = workloadOf(all);
    const { hostPID, hostNetwork, hostIPC } = workload.spec.template.spec;
    expect([hostPID, hostNetwork, hostIPC]).toEqual([undefined, undefined, undefined]);
    for (const container of containersOf(workload).filter(
      ({ image }) => image.startsWith('whodunit') && !image.includes('shop'),
    )) {
      const { capabilities, ...rest } = container.securityContext;
      expect(rest).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(rest).not.toHaveProperty('privileged');
      const isLoader = container.image.startsWith('whodunit-loader');
      const added = isLoader
        ? ['BPF', 'PERFMON', 'SYSLOG', ...ofStacks]
        : container.name === 'state-owner'
          ? ofOwner
          : undefined;
      expect([container.name, capabilities]).toEqual([container.name, { drop: ['ALL'], ...(added && { add: added }) }]);
      // docker-default and cri-containerd.apparmor.d forbid the pins: test/kernels runs the loader under them.
      expect(rest.appArmorProfile).toEqual(isLoader ? { type: 'Unconfined' } : undefined);
      if (!isLoader && added === undefined) expect(rest).toMatchObject({ runAsNonRoot: true, runAsUser: 65532 });
    }
  });

  it.each(['daemonset.yaml', 'sidecar.yaml', 'unload.yaml'])(
    '%s: a loader that cannot start says why in the pod’s status',
    (name) => {
      const loader = containersOf(workloadOf(example(name))).find(({ image }) => image.startsWith('whodunit-loader'));
      expect(loader.terminationMessagePolicy).toBe('FallbackToLogsOnError');
    },
  );

  it('run on Linux nodes, and in no priority class, which GKE would refuse', () => {
    for (const name of ['daemonset.yaml', 'sidecar.yaml', 'unload.yaml']) {
      const { nodeSelector, priorityClassName } = workloadOf(example(name)).spec.template.spec;
      expect([name, nodeSelector, priorityClassName]).toEqual([name, { 'kubernetes.io/os': 'linux' }, undefined]);
    }
  });

  it('the collector’s has the rights, the node and the ports that agent.yaml needs', () => {
    const all = example('collector.yaml');
    const kinds = ['Namespace', 'ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Service', 'DaemonSet'];
    expect(all.map(({ kind }) => kind)).toEqual(kinds);
    const [{ env, ports }] = workloadOf(all).spec.template.spec.containers;
    expect(env.map(({ name }: Json) => name)).toEqual(
      expect.arrayContaining(['K8S_NODE_NAME', 'BACKEND_OTLP_ENDPOINT']),
    );
    const { internalTrafficPolicy, ports: served } = all.find(({ kind }) => kind === 'Service').spec;
    expect(internalTrafficPolicy).toBe('Local');
    const names = ports.map(({ name }: Json) => name);
    for (const { targetPort } of served) expect(names).toContain(targetPort);
  });

  // Custom resources: no types of theirs are at hand.
  const custom = (name: string): Json[] =>
    parseAllDocuments(readFileSync(join(ROOT, 'examples/kubernetes', name), 'utf8')).map((one) => one.toJS());

  it('the monitors scrape the collector’s metrics', () => {
    const service = example('collector.yaml').find(({ kind }) => kind === 'Service');
    for (const { kind, metadata, spec } of custom('collector-monitors.yaml')) {
      expect(metadata.namespace).toBe(service.metadata.namespace);
      expect(spec.selector.matchLabels).toEqual(service.metadata.labels);
      const [{ port }] = kind === 'PodMonitor' ? spec.podMetricsEndpoints : spec.endpoints;
      expect(service.spec.ports.map(({ name }: Json) => name)).toContain(port);
    }
  });

  it('OpenShift’s permits the account of the DaemonSet what its containers have, and no more', () => {
    const [constraints] = custom('openshift.yaml');
    const { template } = workloadOf(example('daemonset.yaml')).spec;
    expect(constraints.users).toEqual([`system:serviceaccount:whodunit:${template.spec.serviceAccountName}`]);
    const added = containersOf({ spec: { template } }).flatMap((one) => one.securityContext.capabilities.add ?? []);
    expect(constraints.allowedCapabilities.toSorted()).toEqual(added.toSorted());
    expect(constraints.volumes).toEqual(expect.arrayContaining(['hostPath', 'emptyDir', 'configMap']));
  });

  it('let no pod connect to the health port', () => {
    const policy = example('daemonset.yaml').find(({ kind }) => kind === 'NetworkPolicy').spec;
    const { labels } = workloadOf(example('daemonset.yaml')).spec.template.metadata;
    expect(policy).toEqual({ podSelector: { matchLabels: labels }, policyTypes: ['Ingress'] });
  });

  it('leave room beside the heap of Node.js in the limit of memory', () => {
    const entrypoint = readFileSync(join(ROOT, 'images/service.Dockerfile'), 'utf8');
    const flag = (name: string) => Number(new RegExp(`--max-${name}-space-size=(\\d+)`).exec(entrypoint)?.[1]);
    const NODE_ITSELF_MIB = 96; // code, buffers of the sockets, SQLite's cache; the whole service takes 63 MB idle (docs/performance.md)
    for (const name of ['daemonset.yaml', 'sidecar.yaml']) {
      const service = containersOf(workloadOf(example(name))).find(
        ({ args, image, env }) => image === 'whodunit:0.1.0' && env && !args,
      );
      const limit = Number(/^(\d+)Mi$/.exec(service.resources.limits.memory)?.[1]);
      expect(flag('old') + 3 * flag('semi') + NODE_ITSELF_MIB).toBeLessThanOrEqual(limit);
    }
  });

  it('the sidecar watches only its pod, and shares its process namespace', () => {
    const [{ spec }] = example('sidecar.yaml');
    expect(spec.template.spec.shareProcessNamespace).toBe(true);
    expect(spec.template.spec.initContainers[0].env).toContainEqual({
      name: 'WHODUNIT_SCOPE',
      value: 'pod:$(POD_UID)',
    });
  });
});
