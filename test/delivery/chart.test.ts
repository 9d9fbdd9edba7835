// SPDX-License-Identifier: Apache-2.0
// The chart, rendered by Helm and read like the manifests.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../../scripts/stack/program.ts';
import { prepared } from './bases.ts';
import { example, type Json, objects, run, workloadOf } from './manifests.ts';

const CHART = join(ROOT, 'examples/kubernetes/chart');
/** A release that sets each value. */
const VALUES = join(ROOT, 'test/delivery/kubernetes/values.yaml');
/** Without a cluster, Helm needs the version. */
const KUBE_VERSION = '1.34.0';
const NAMES = ['--kube-version', KUBE_VERSION, '--namespace', 'whodunit'];

const helm = (...args: string[]) => run(JSON.parse(prepared('WHODUNIT_TEST_TOOLS')).helm, args);
const template = (...args: string[]) => helm('template', 'whodunit', CHART, ...NAMES, ...args);

describe('the chart', () => {
  it('passes `helm lint --strict`', () => {
    expect(helm('lint', '--strict', CHART)).toMatchObject({ status: 0 });
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
    const values = parse(readFileSync(VALUES, 'utf8'));
    expect(pathsOf(values)).toEqual(pathsOf(parse(readFileSync(join(CHART, 'values.yaml'), 'utf8'))));
    const { stdout, status, output } = template('--values', VALUES);
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
