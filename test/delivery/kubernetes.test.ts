// SPDX-License-Identifier: Apache-2.0
// The manifests, read like an API server with strict validation (test/delivery/kubernetes/), and the chart, rendered by Helm. No cluster
// runs.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
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
    ['daemonset.yaml', ['Namespace', 'ServiceAccount', 'DaemonSet'], ['CHOWN', 'FOWNER']],
    ['sidecar.yaml', ['Deployment'], []],
  ])('%s: each container has the privileges of docs/deployment.md, and no others', (name, kinds, ofOwner) => {
    const all = example(name);
    expect(all.map(({ kind }) => kind)).toEqual(kinds);
    const workload = all.at(-1);
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
      if (!isLoader && added === undefined) expect(rest).toMatchObject({ runAsNonRoot: true, runAsUser: 65532 });
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

  it('renders the DaemonSet of the plain manifest, except for the names', () => {
    const rendered = template('--set', 'endpoint=http://collector.observability:4318');
    const daemonSet = (all: Json[]) => all.find(({ kind }) => kind === 'DaemonSet').spec.template.spec;
    const plain = daemonSet(example('daemonset.yaml'));
    const chart = daemonSet(objects(rendered.stdout));
    for (const container of [...chart.initContainers, ...chart.containers]) {
      expect(container.imagePullPolicy).toBe('IfNotPresent');
      delete container.imagePullPolicy;
    }
    const protocol = { name: 'OTEL_EXPORTER_OTLP_PROTOCOL', value: 'http/protobuf' };
    expect(chart.containers[0].env).toContainEqual(protocol);
    chart.containers[0].env = chart.containers[0].env.filter(({ name }: Json) => name !== protocol.name);
    expect(chart).toEqual(plain);
  });

  it('accepts rules, variables and secrets', () => {
    const { stdout } = template(
      ...[
        '--set-string',
        'rules=rules: []',
        '--set',
        'imagePullSecrets[0].name=registry',
        '--set',
        'nodeSelector.pool=shop',
      ],
      ...['--set', 'env[0].name=WHODUNIT_REPORT', '--set', 'env[0].value=all', '--set', 'podAnnotations.team=shop'],
    );
    const all = objects(stdout);
    expect(all.find(({ kind }) => kind === 'ConfigMap').data).toEqual({ 'rules.yaml': 'rules: []\n' });
    const { metadata, spec } = all.find(({ kind }) => kind === 'DaemonSet').spec.template;
    expect(metadata.annotations).toMatchObject({ team: 'shop' });
    expect(spec).toMatchObject({ imagePullSecrets: [{ name: 'registry' }], nodeSelector: { pool: 'shop' } });
    expect(spec.containers[0].env).toContainEqual({ name: 'WHODUNIT_REPORT', value: 'all' });
    expect(spec.containers[0].env).toContainEqual({ name: 'WHODUNIT_CONFIG', value: '/etc/whodunit/rules.yaml' });
  });

  it('rejects unknown and invalid values', () => {
    for (const value of ['endpont=http://x:1', 'protocol=thrift', 'endpoint=collector:4318'])
      expect([value, template('--set', value).status]).toEqual([value, 1]);
  });
});
