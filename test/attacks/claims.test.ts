// SPDX-License-Identifier: Apache-2.0
// An unprivileged user claims facts: in the environment, in a published process context, by the names of cgroups below one that was
// delegated to the user, and by a user id without a name or in a user namespace.
import { spawnSync } from 'node:child_process';
import { chownSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Cgroup, makeCgroup } from '../../scripts/stack/cgroup.ts';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { ATTACKER, type Program, startProgram, until } from '../../scripts/stack/program.ts';
import { processContext, text } from '../support/published.ts';
import { watched } from '../support/watched.ts';
import { ALICE, attack, MALLORY, startAs } from './attacker.ts';

const REPORTED_WITHIN_MS = 60_000;
const EXIT_CODE = 3;
const ROOT = 0;
const PART_CLAIMS = 6;
const ID = 'feedface'.repeat(8);
const POD = '7d3e9f10-2b4c-4d5e-8f60-718293a4b5c6';
/** A user of every Debian and Red Hat system, with an entry in /etc/passwd. */
const DAEMON = Number(/^daemon:[^:]*:(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[1]);

/** Each is a fact of the kernel, or recognises whodunit's own records. */
const FACTS: Readonly<Record<string, string>> = {
  'process.pid': '1',
  'process.owner': 'root',
  'process.user.id': '0',
  'process.real_user.name': 'root',
  'process.executable.build_id.gnu': 'c0ffee',
  'process.linux.cgroup': '/system.slice/sshd.service',
  'container.id': ID,
  'container.name': 'payments',
  'container.image.name': 'payments',
  'k8s.pod.uid': POD,
  'host.id': 'another-host',
  'host.name': 'another-host',
  'host.ip': '10.0.0.1',
  'os.type': 'windows',
  'os.description': 'another',
  'whodunit.systemd.unit': 'sshd.service',
  'whodunit.cause': 'oom_kill',
  'whodunit.sender.executable.name': 'sshd',
  'telemetry.distro.name': 'another',
  'log.record.uid': '00000000-0000-0000-0000-000000000000',
  'error.type': 'another',
  'user.name': 'root',
  // The names that backends make of these.
  process_pid: '1',
  'Container.ID': ID,
  'HOST.NAME': 'another-host',
  'process.owner ': 'root',
  ' k8s.pod.uid': POD,
  'whodunit.\u0000cause': 'oom_kill',
  'host.name\u200b': 'another-host',
  process: 'another',
};
const CLAIMS: Readonly<Record<string, string>> = {
  'service.name': 'checkout',
  'service.namespace': 'shop',
  'service.version': '7',
  'service.instance.id': '627cc493',
  'deployment.environment.name': 'production',
  'k8s.namespace.name': 'shop',
  'k8s.pod.name': 'checkout-0',
  'process.runtime.version': '24',
  'cloud.region': 'eu-central-1',
  team: 'till',
};

const both = watched({ WHODUNIT_REPORT: 'all' });

const nowNs = () => BigInt(Date.now()) * 1_000_000n;

/** The record of a program that was started since. Pids are reused: an older record is another program's. */
async function recordOf({ pid, output }: Pick<Program, 'pid' | 'output'>, sinceNs: bigint): Promise<LogRecord> {
  return until(
    'the record',
    REPORTED_WITHIN_MS,
    () => both.collector.logs().find((one) => one.resource['process.pid'] === pid && one.timeUnixNs > sinceNs),
    () => `${output()}${both.whodunit.service.output()}`,
  );
}

/** The record of a program of MALLORY that claims an identity. */
async function claiming(env: Readonly<Record<string, string>>, context?: string): Promise<LogRecord> {
  const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  const command = context === undefined ? ['sh', '-c', `exit ${EXIT_CODE}`] : [ATTACKER, 'publish', context];
  const sinceNs = nowNs();
  const program = startAs(MALLORY, 'env', [...variables, ...command]);
  expect([await program.ended, program.output()]).toEqual([{ code: EXIT_CODE, signal: null }, '']);
  return recordOf(program, sinceNs);
}

/** The attributes of a record that state a false fact. */
function falseFacts({ resource }: LogRecord): string[] {
  return Object.entries(resource)
    .filter(([key, value]) => Object.hasOwn(FACTS, key) && value === FACTS[key])
    .map(([key]) => key);
}

/** The claims in parts that fit into what is read of a variable. */
function parts(all: Readonly<Record<string, string>>): Readonly<Record<string, string>>[] {
  const pairs = Object.entries(all);
  const some = Array.from({ length: Math.ceil(pairs.length / PART_CLAIMS) }, (_, index) =>
    pairs.slice(index * PART_CLAIMS, (index + 1) * PART_CLAIMS),
  );
  return some.map((part) => Object.fromEntries(part));
}

const listed = (attributes: Readonly<Record<string, string>>) =>
  Object.entries(attributes)
    .map((pair) => pair.map(encodeURIComponent).join('='))
    .join(',');
const asContext = (attributes: Readonly<Record<string, string>>) =>
  processContext(
    Object.entries(attributes).map(([key, value]) => [key, text(value)] as const),
    [],
  );

describe.each([
  [
    'OTEL_RESOURCE_ATTRIBUTES',
    'environment',
    (all: Readonly<Record<string, string>>) => claiming({ OTEL_RESOURCE_ATTRIBUTES: listed(all) }),
  ],
  ['the process context', 'process_context', (all: Readonly<Record<string, string>>) => claiming({}, asContext(all))],
])('%s', (_, source, claim) => {
  it('states no fact of the kernel, and nothing by which records are recognised', async () => {
    for (const facts of parts(FACTS)) {
      const record = await claim({ ...facts, team: 'till' });
      expect(falseFacts(record)).toEqual([]);
      expect(record.resource).toMatchObject({ team: 'till', 'process.user.id': MALLORY });
      expect(record.resource['telemetry.distro.name']).toBe('whodunit');
      expect(record.resource['process.owner']).toBeUndefined();
    }
  });

  it('keeps names of services, deployments and Kubernetes objects, marked as claims', async () => {
    const { resource } = await claim({ 'host.name': 'another-host', ...CLAIMS });
    expect(resource).toMatchObject({ ...CLAIMS, 'whodunit.identity.source': source });
    expect(resource['whodunit.identity.claimed']).toEqual(Object.keys(CLAIMS));
  });

  it('is reported where it contradicts the kernel', async () => {
    const { attributes } = await claim({ 'container.id': ID, 'host.name': 'another-host', 'os.type': 'linux' });
    expect(attributes['whodunit.identity.dropped']).toEqual(['container.id', 'host.name']);
    expect(attributes['whodunit.evidence']).toContain(
      'the process claimed container.id, host.name: dropped, because only the kernel states these',
    );
    const status = await (await fetch(`http://${both.whodunit.at.health}/status`)).json();
    expect(status).toMatchObject({ false_claims: expect.toSatisfy((count: number) => count > 0) });
  });
});

type Version = Parameters<typeof makeCgroup>[1];

/** As systemd delegates a cgroup: root makes it, and gives it and its files for processes to the user. */
function delegate(path: string, version: Version) {
  const cgroup = makeCgroup(path, version);
  for (const name of ['', 'cgroup.procs', 'tasks', 'cgroup.threads', 'cgroup.subtree_control'])
    if (name === '' || readdirSync(cgroup.directory).includes(name))
      chownSync(join(cgroup.directory, name), MALLORY, MALLORY);
  return cgroup;
}

const USER_MANAGER = `user.slice/user-${MALLORY}.slice/user@${MALLORY}.service`;
const DEEP = Array.from({ length: 30 }, (_, index) => `d${index}`).join('/');
const WIDE = Array.from({ length: 5 }, (_, index) => `${index}`.padEnd(200, 'x')).join('/');
const DELEGATED = [USER_MANAGER, 'mallory', 'system.slice/batch.service'].flatMap(
  (path): [string, string, Version][] => [
    [path, 'the machine’s hierarchy', undefined],
    [path, 'cgroup v2', 'v2'],
  ],
);
const FORGED: readonly string[] = [
  `docker-${ID}.scope`,
  `docker/${ID}`,
  `system.slice/docker-${ID}.scope`,
  `user.slice/libpod-${ID}.scope/container`,
  `kubepods.slice/kubepods-pod${POD.replaceAll('-', '_')}.slice/cri-containerd-${ID}.scope`,
  `kubepods/besteffort/pod${POD}/${ID}`,
  'lxc.payload.payments/init.scope',
  'machine.slice/systemd-nspawn@payments.service/payload',
  'system.slice/sshd.service',
  `${DEEP}/system.slice/docker-${ID}.scope`,
  `${WIDE}/system.slice/docker-${ID}.scope`,
];

/** Runs the attacker in a cgroup that MALLORY makes below the delegated one, and returns the record of the process with that pid. */
async function fromForged(cgroup: Cgroup, forged: string, ...victim: readonly string[]): Promise<LogRecord> {
  const directory = join(cgroup.directory, forged);
  const user = ['setpriv', `--reuid=${MALLORY}`, `--regid=${MALLORY}`, '--clear-groups', '--inh-caps=-all', '--'];
  const [program = '', ...args] = cgroup.enter([...user, ATTACKER, 'cgroup', directory, ...victim]);
  const sinceNs = nowNs();
  const attacker = startProgram(program, args);
  try {
    if (victim.length === 0) expect([(await attacker.ended).code, attacker.output()]).toEqual([EXIT_CODE, '']);
    const [pid = attacker.pid] = victim.map(Number);
    return await recordOf({ ...attacker, pid }, sinceNs);
  } finally {
    await attacker.stop();
    spawnSync('find', [cgroup.directory, '-mindepth', '1', '-type', 'd', '-delete']);
    await cgroup.remove();
  }
}

describe.each(DELEGATED)('below a cgroup that was delegated to the user (%s, %s)', (delegated, _, version) => {
  it.each(FORGED)('%s is no container, pod or unit of the system', async (forged) => {
    const { resource } = await fromForged(delegate(delegated, version), forged);
    expect(resource).toMatchObject({ 'process.user.id': MALLORY, 'process.executable.name': 'attacker' });
    for (const key of ['container.id', 'container.name', 'k8s.pod.uid'])
      expect([key, resource[key]]).toEqual([key, undefined]);
    const unit = delegated.endsWith('.service') ? delegated.split('/').at(-1) : undefined;
    expect(resource['whodunit.systemd.unit']).toBe(unit);
  });

  it.each([`docker-${ID}.scope`, `${DEEP}/docker/${ID}`])('a sender in %s is in no container', async (forged) => {
    const victim = await attack('wait');
    const { attributes } = await fromForged(delegate(delegated, version), forged, String(victim.pid));
    expect(attributes).toMatchObject({
      'whodunit.sender.user.id': MALLORY,
      'whodunit.sender.executable.name': 'attacker',
    });
    expect(attributes['whodunit.sender.container.id']).toBeUndefined();
  });
});

describe('the name of a user', () => {
  const ran = (uid: number, ...command: readonly string[]): Promise<LogRecord> => {
    const [program = '', ...args] = [...command, 'sh', '-c', `exit ${EXIT_CODE}`];
    const sinceNs = nowNs();
    return recordOf(startAs(uid, program, args), sinceNs);
  };

  it('is not that of another user if the user id has none', async () => {
    const { resource } = await ran(MALLORY);
    expect([resource['process.user.id'], resource['process.owner']]).toEqual([MALLORY, undefined]);
  });

  it('is the host’s for a process of the host', async () => {
    const { resource } = await ran(DAEMON);
    expect([resource['process.user.id'], resource['process.owner']]).toEqual([DAEMON, 'daemon']);
  });

  it.each([MALLORY, DAEMON])('is not looked up for a process in another user namespace (uid %i)', async (uid) => {
    const { resource } = await ran(uid, 'unshare', '--user', '--map-root-user');
    expect([resource['process.user.id'], resource['process.owner']]).toEqual([uid, undefined]);
  });
});

describe('the build id of an executable', () => {
  /** The build id in the record of the attacker, run by this user on one processor: what is known of a file is kept by processor. */
  const ran = async (uid: number, name: string): Promise<unknown> => {
    const sinceNs = nowNs();
    const program = startAs(uid, 'taskset', ['-c', '0', ATTACKER, name, String(EXIT_CODE)]);
    program.child.stdin?.end();
    expect((await program.ended).code).toBe(EXIT_CODE);
    return (await recordOf(program, sinceNs)).resource['process.executable.build_id.go'];
  };

  it('is not what another user’s process of the same file wrote into its memory', async () => {
    const own = await ran(ALICE, 'exit');
    for (let time = 0; time < 3; time += 1) {
      expect(await ran(MALLORY, 'forgeBuildId')).toMatch(time === 0 ? /^x{20}/ : /./);
      expect(await ran(ALICE, 'exit')).toBe(own);
      expect(await ran(ROOT, 'exit')).toBe(own);
    }
  });
});

describe('a host name', () => {
  const named = async (delegated: Cgroup | null, hostname: string): Promise<LogRecord> => {
    const user = ['setpriv', `--reuid=${MALLORY}`, `--regid=${MALLORY}`, '--clear-groups', '--inh-caps=-all', '--'];
    const script = `${delegated === null ? '' : `echo $$ > "$2/cgroup.procs"; `}exec unshare --user --map-root-user --uts sh -c 'hostname "$0" && exit ${EXIT_CODE}' "$1"`;
    const directory = delegated === null ? '' : join(delegated.directory, 'docker', ID);
    const command = [
      ...user,
      'sh',
      '-c',
      `${delegated === null ? '' : 'mkdir -p "$2"; '}${script}`,
      'sh',
      hostname,
      directory,
    ];
    const [program = '', ...args] = delegated === null ? command : delegated.enter(command);
    const sinceNs = nowNs();
    const victim = startProgram(program, args);
    try {
      return await recordOf(victim, sinceNs);
    } finally {
      await victim.stop();
      if (delegated !== null) spawnSync('find', [delegated.directory, '-mindepth', '1', '-type', 'd', '-delete']);
      await delegated?.remove();
    }
  };

  it.each([
    ['outside of containers', () => null],
    ['in a cgroup that a user called like a container', () => delegate('mallory', undefined)],
  ])('that a user chose %s is not looked at', async (_, cgroup) => {
    const { resource, body } = await named(cgroup(), 'sshd');
    expect(resource).toMatchObject({ 'process.user.id': MALLORY, 'whodunit.identity.source': 'executable' });
    expect(resource['service.name']).not.toBe('sshd');
    expect(resource['whodunit.container.hostname']).toBeUndefined();
    expect(body).not.toContain('sshd');
  });
});
