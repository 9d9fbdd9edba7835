// SPDX-License-Identifier: Apache-2.0
// The manifests, read like an API server with strict validation (test/delivery/kubernetes/), and the chart, rendered by Helm. No cluster
// runs.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../../scripts/stack/program.ts';
import { prepared } from './bases.ts';

const CHART = join(ROOT, 'examples/kubernetes/chart');
/** Without a cluster, Helm needs the version. */
const KUBE_VERSION = '1.34.0';

// biome-ignore lint/suspicious/noExplicitAny: it is Kubernetes' JSON; a test that reads it wrongly fails
type Json = any;

const tool = (name: string): string => JSON.parse(prepared('WHODUNIT_TEST_TOOLS'))[name];
const run = (program: string, args: readonly string[], input?: string) => {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', input });
  return { status, stdout, output: `${stdout}${stderr}` };
};
/** The objects of the manifests. Throws if Kubernetes does not have a field. */
function objects(yaml: string): Json[] {
  const { status, stdout, output } = run(prepared('WHODUNIT_TEST_MANIFESTS'), [], yaml);
  if (status !== 0) throw new Error(output);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}
const example = (name: string) => objects(readFileSync(join(ROOT, 'examples/kubernetes', name), 'utf8'));
const template = (...args: string[]) =>
  run(tool('helm'), [
    'template',
    'whodunit',
    CHART,
    '--kube-version',
    KUBE_VERSION,
    '--namespace',
    'whodunit',
    ...args,
  ]);
const workloadOf = (all: Json[]): Json => all.find(({ kind }) => ['DaemonSet', 'Deployment'].includes(kind));
const containersOf = (workload: Json): Json[] => [
  ...workload.spec.template.spec.initContainers,
  ...workload.spec.template.spec.containers,
];

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
    ['daemonset.yaml', ['Namespace', 'ServiceAccount', 'DaemonSet', 'NetworkPolicy'], ['CHOWN', 'FOWNER']],
    ['sidecar.yaml', ['Deployment'], []],
    ['unload.yaml', ['DaemonSet'], []],
  ])('%s: each container has the privileges of docs/deployment.md, and no others', (name, kinds, ofOwner) => {
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
      const added = isLoader ? ['BPF', 'PERFMON', 'SYSLOG'] : container.name === 'state-owner' ? ofOwner : undefined;
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

describe('the chart', () => {
  it('passes `helm lint --strict`', () => {
    expect(run(tool('helm'), ['lint', '--strict', CHART])).toMatchObject({ status: 0 });
  });

  it.each([
    ['daemonset.yaml', []],
    ['unload.yaml', ['--set', 'unload=true']],
  ])('renders the DaemonSet of %s, except for the names', (name, flags) => {
    const rendered = template('--set', 'endpoint=http://collector.observability:4318', ...flags);
    const plain = workloadOf(example(name)).spec.template.spec;
    const chart = workloadOf(objects(rendered.stdout)).spec.template.spec;
    for (const container of [...chart.initContainers, ...chart.containers]) {
      expect(container.imagePullPolicy).toBe('IfNotPresent');
      delete container.imagePullPolicy;
    }
    const protocol = { name: 'OTEL_EXPORTER_OTLP_PROTOCOL', value: 'http/protobuf' };
    if (name === 'daemonset.yaml') expect(chart.containers[0].env).toContainEqual(protocol);
    for (const container of chart.containers)
      if (container.env) container.env = container.env.filter((one: Json) => one.name !== protocol.name);
    expect(chart).toEqual(plain);
  });

  it('accepts each value that values.yaml has, and passes it on', () => {
    const values = parse(readFileSync(join(ROOT, 'test/delivery/kubernetes/values.yaml'), 'utf8'));
    expect(pathsOf(values)).toEqual(pathsOf(parse(readFileSync(join(CHART, 'values.yaml'), 'utf8'))));
    const { stdout, status, output } = template('--values', join(ROOT, 'test/delivery/kubernetes/values.yaml'));
    expect([status, output]).toEqual([0, stdout]);
    const all = objects(stdout);
    const named = (kind: string) => all.find((one) => one.kind === kind);
    expect(all.map(({ metadata }) => metadata.name).filter((name) => !name.startsWith('deaths'))).toEqual(['account']);
    expect(named('ConfigMap').data).toEqual({ 'rules.yaml': 'rules: []\n' });
    const { metadata, spec } = named('DaemonSet').spec.template;
    const [, loader] = spec.initContainers;
    const [service] = spec.containers;
    const from = { secretRef: { name: 'more' } };
    expect(metadata).toMatchObject({ labels: { team: 'shop' }, annotations: { note: 'text' } });
    expect(named('DaemonSet').spec.updateStrategy).toEqual({ rollingUpdate: { maxUnavailable: 1 } });
    expect(spec).toMatchObject({
      serviceAccountName: 'account',
      imagePullSecrets: [{ name: 'registry' }],
      securityContext: { seLinuxOptions: { type: 'spc_t' } },
      nodeSelector: { 'kubernetes.io/os': 'linux', pool: 'shop' },
      tolerations: [{ key: 'spot', operator: 'Exists' }],
      affinity: { nodeAffinity: {} },
      priorityClassName: 'high',
    });
    expect(loader).toMatchObject({
      image: `registry/loader@sha256:${'0'.repeat(64)}`,
      imagePullPolicy: 'Always',
      envFrom: [from],
      securityContext: { appArmorProfile: { type: 'Localhost', localhostProfile: 'whodunit-loader' }, runAsUser: 0 },
      resources: { limits: { memory: '300Mi' } },
    });
    expect(loader.env).toContainEqual({ name: 'WHODUNIT_THREAD_CONTEXT', value: '1' });
    expect(loader.volumeMounts).toContainEqual({ name: 'ca', mountPath: '/ca' });
    expect(service).toMatchObject({
      image: 'registry/service:1.2.3',
      envFrom: [from],
      securityContext: { runAsUser: 1000, runAsNonRoot: true },
      resources: { limits: { memory: '400Mi' } },
    });
    for (const variable of [
      { name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: 'https://collector:4317' },
      { name: 'OTEL_EXPORTER_OTLP_PROTOCOL', value: 'grpc' },
      { name: 'OTEL_EXPORTER_OTLP_HEADERS', valueFrom: { secretKeyRef: { name: 'headers', key: 'text' } } },
      { name: 'OTEL_EXPORTER_OTLP_CERTIFICATE', value: '/ca/ca.pem' },
      {
        name: 'OTEL_RESOURCE_ATTRIBUTES',
        value: 'host.name=$(NODE_NAME),deployment.environment.name=a%2Cb,k8s.cluster.name=shop-1',
      },
      { name: 'WHODUNIT_CONFIG', value: '/etc/whodunit/rules.yaml' },
    ])
      expect(service.env).toContainEqual(variable);
    expect(service.volumeMounts).toContainEqual({ name: 'ca', mountPath: '/ca' });
    expect(spec.volumes.map(({ name }: Json) => name)).toEqual(['bpf', 'socket', 'state', 'rules', 'ca']);
    expect(spec.volumes[2].hostPath.path).toBe('/var/lib/other');
    expect(named('NetworkPolicy').spec.ingress[0].from).toContainEqual({ namespaceSelector: {} });
    expect(named('Service').metadata.annotations).toEqual({ note: 'text' });
    expect(named('ServiceAccount').metadata.annotations).toEqual({ note: 'text' });
  });

  it('`helm test` asks the health port of the release, which its network policy allows', () => {
    const all = objects(template().stdout);
    const pod = all.find(({ kind }) => kind === 'Pod');
    const service = all.find(({ kind }) => kind === 'Service');
    expect(pod.metadata.annotations['helm.sh/hook']).toBe('test');
    expect(pod.spec.containers[0].args).toEqual(['health', '--address', 'whodunit.whodunit.svc:9465']);
    expect([service.metadata.name, service.spec.ports[0].port]).toEqual(['whodunit', 9465]);
    expect(service.spec.selector).toEqual(workloadOf(all).spec.selector.matchLabels);
    const [{ from }] = all.find(({ kind }) => kind === 'NetworkPolicy').spec.ingress;
    expect(pod.metadata.labels).toMatchObject(from[0].podSelector.matchLabels);
  });

  it('before Kubernetes 1.30, permits the pins with the annotation', () => {
    const { stdout } = template('--kube-version', '1.29.0');
    const { metadata, spec } = workloadOf(objects(stdout)).spec.template;
    expect(metadata.annotations).toMatchObject({
      'container.apparmor.security.beta.kubernetes.io/loader': 'unconfined',
    });
    expect(spec.initContainers[1].securityContext).not.toHaveProperty('appArmorProfile');
  });

  it.each([
    ['endpont=http://x:1', /'endpont' not allowed.*'endpoint'/s],
    ['env[0].name=x', /'env' not allowed.*'extraEnvs'/s],
    ['loader.extraEnv[0].name=x', /'extraEnv' not allowed.*'extraEnvs'/s],
    ['image.repo=x', /'repo' not allowed.*'repository'/s],
    ['networkPolicy.enable=true', /'enable' not allowed.*'enabled'/s],
    ['protocol=thrift', /'grpc', 'http\/protobuf', 'http\/json'/],
    ['endpoint=collector:4318', /endpoint/],
    ['resourceAttributes.host\\.name=x', /host\.name/],
    ['extraEnvs[0].name=OTEL_RESOURCE_ATTRIBUTES', /use resourceAttributes/],
  ])('refuses %s, and names what it knows', (value, message) => {
    const { status, output } = template('--set', value);
    expect([value, status]).toEqual([value, 1]);
    expect(output).toMatch(message);
  });
});

/** The paths of all values; those of a map that values.yaml leaves empty are not the chart's. */
function pathsOf(values: Json, prefix = ''): string[] {
  const OPEN =
    /^(?:loader\.)?(?:securityContext|resources|appArmorProfile)$|^(?:rollout|nodeSelector|resourceAttributes|affinity|pod\w+|\w+\.annotations)$/;
  return Object.entries(values)
    .flatMap(([key, value]) =>
      value !== null && typeof value === 'object' && !Array.isArray(value) && !OPEN.test(prefix + key)
        ? pathsOf(value, `${prefix}${key}.`)
        : [prefix + key],
    )
    .sort();
}
