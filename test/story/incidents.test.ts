// SPDX-License-Identifier: Apache-2.0
// One act that ends many processes, with the real programs: the first termination has a record, the others share one. The counters of the
// metric stay exact.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, expect, it, onTestFinished } from 'vitest';
import { makeCgroup } from '../../scripts/stack/cgroup.ts';
import { startDocker } from '../../scripts/stack/containers.ts';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { type Program, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';
import { watched } from '../support/watched.ts';

const WITHIN_MS = 120_000;
const POSTGRES = '/usr/lib/postgresql';

const both = watched({ WHODUNIT_REPORT: 'default' });
const directory = temporaryDirectory();
chmodSync(directory.path, 0o755);
afterAll(directory.remove);

/** A copy of sleep with a name of its own, so that no other program of the machine counts towards its minute. */
function worker(name: string): string {
  const path = join(directory.path, name);
  copyFileSync('/bin/sleep', path);
  chmodSync(path, 0o755);
  return path;
}

/** A shell that starts workers in the background, and waits for them. */
const CREW = 'for i in $(seq "$1"); do "$0" 1000 & done; echo up; wait';
const crew = (path: string, count: number) => ['sh', '-c', CREW, path, String(count)];

async function up(program: Program): Promise<Program> {
  await until('the first line', WITHIN_MS, () => program.stdout().includes('\n') || undefined, program.output);
  return program;
}

/** Waits until so many workers run: before execve(2), a worker is a shell. */
async function working(path: string, count: number): Promise<void> {
  const running = () => Number(spawnSync('pgrep', ['-xc', basename(path)], { encoding: 'utf8' }).stdout);
  await until('the workers', WITHIN_MS, () => running() === count || undefined);
}

const start = ([command = '', ...args]: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  startProgram(command, args, { env: { ...process.env, ...env } });

/** Kills as a person does. */
const kill = (...args: readonly (string | number)[]) => spawnSync('sh', ['-c', `kill ${args.join(' ')}`]);

interface Incident {
  readonly root: LogRecord;
  readonly rest: LogRecord;
}

/** The incident with so many terminations whose first record `isRoot`. It has two records. */
async function incidentOf(total: number, isRoot: (record: LogRecord) => boolean): Promise<Incident> {
  const id = ({ attributes }: LogRecord) => attributes['whodunit.incident.id'];
  const root = await until('the first record', WITHIN_MS, () => records('process.termination').find(isRoot));
  const of = () => records('incident').filter((record) => id(record) === id(root));
  const rest = await until(
    'the members',
    WITHIN_MS,
    () => of().find((one) => one.attributes['whodunit.incident.total'] === total),
    () =>
      JSON.stringify([root, ...of()].map(({ body, attributes }) => [body, attributes['whodunit.incident.members']])),
  );
  expect(rest.attributes['whodunit.termination.uid']).toBe(root.attributes['log.record.uid']);
  const members = of().reduce((sum, { attributes }) => sum + Number(attributes['whodunit.aggregated.count']), 0);
  expect(members).toBe(total - 1);
  const same = records('process.termination').filter((record) => id(record) === id(root));
  expect(same).toHaveLength(1);
  return { root, rest };
}

const records = (name: string) => both.collector.logs().filter(({ eventName }) => eventName === `whodunit.${name}`);
const isOf =
  (path: string) =>
  ({ resource }: LogRecord): boolean =>
    resource['process.executable.path'] === path;
const bySender = (pid: number) => (record: LogRecord) => record.attributes['whodunit.sender.pid'] === pid;

/** The metric's count of a service. */
const counted = (service: string): number => {
  const points = both.collector
    .metrics()
    .filter(({ name, resource }) => name === 'whodunit.process.terminations' && resource['service.name'] === service);
  const last = new Map(points.map((point) => [JSON.stringify(point.attributes), point.value]));
  return [...last.values()].reduce((sum, value) => sum + value, 0);
};

it('cgroup.kill of 200 processes and their shell is two records; the metric counts each', async () => {
  const path = worker('cgroup-worker');
  const cgroup = makeCgroup('scope', 'v2');
  const shell = await up(start(cgroup.enter(crew(path, 200))));
  await working(path, 200);
  writeFileSync(join(cgroup.directory, 'cgroup.kill'), '1');
  await shell.ended;
  const { root, rest } = await incidentOf(201, bySender(process.pid));
  expect(rest.attributes).toMatchObject({
    'whodunit.incident.act': 'cgroup_kill',
    'whodunit.sender.pid': process.pid,
  });
  expect(rest.resource['process.linux.cgroup']).toBe(root.resource['process.linux.cgroup']);
  const service = 'unknown_service:cgroup-worker';
  await until(
    'the metric',
    WITHIN_MS,
    () => counted(service) === 200 || undefined,
    () => String(counted(service)),
  );
  await cgroup.remove();
});

it('SIGKILL to a process group of 31', async () => {
  const shell = await up(start(['setsid', ...crew(worker('group-worker'), 30)]));
  kill('-9', `-${shell.pid}`);
  await shell.ended;
  const { rest } = await incidentOf(
    31,
    ({ attributes, resource }) =>
      attributes['whodunit.cause'] === 'killed' &&
      resource['process.linux.cgroup'] !== undefined &&
      /kill -9 -/.test(String(attributes['whodunit.sender.command_line'])),
  );
  expect(rest.attributes).toMatchObject({ 'whodunit.incident.act': 'signal' });
});

it('the init of a pid namespace dies, and 30 processes with it', async () => {
  const shell = await up(start(['unshare', '--pid', '--fork', ...crew(worker('space-worker'), 30)]));
  const init = Number(spawnSync('pgrep', ['-P', String(shell.pid)], { encoding: 'utf8' }).stdout);
  kill('-9', init);
  await shell.ended;
  const { rest } = await incidentOf(31, ({ resource }) => resource['process.pid'] === init);
  expect(rest.attributes['whodunit.incident.act']).toBe('namespace_exit');
});

it('a wrapper exits with 137, because its child was killed', async () => {
  const path = worker('wrapped-worker');
  const env = { OTEL_SERVICE_NAME: 'wrapped' };
  const shell = await up(start(['sh', '-c', '"$0" 1000 & echo $!; wait $!', path], env));
  const child = shell.stdout().trim();
  await until('it runs', WITHIN_MS, () => readlinkSync(`/proc/${child}/exe`) === path || undefined);
  kill('-9', child);
  expect(await shell.ended).toMatchObject({ code: 137 });
  const { rest } = await incidentOf(2, isOf(path));
  expect(rest.attributes).toMatchObject({
    'whodunit.incident.act': 'exit',
    'whodunit.incident.members': [`sh (pid ${shell.pid}): exit code 137`],
  });
});

it('Ctrl-C on npm start', async () => {
  const app = "console.log('up', process.pid); setInterval(() => {}, 1000)";
  writeFileSync(join(directory.path, 'app.js'), app);
  writeFileSync(join(directory.path, 'package.json'), JSON.stringify({ scripts: { start: 'node app.js' } }));
  const env = { ...process.env, OTEL_SERVICE_NAME: 'npm-app', npm_config_update_notifier: 'false' };
  const terminal = startProgram('script', ['-qec', 'npm start', '/dev/null'], { cwd: directory.path, env });
  await until('the app', WITHIN_MS, () => terminal.stdout().includes('up ') || undefined, terminal.output);
  terminal.child.stdin?.write('\u0003');
  await terminal.ended;
  const ours = ({ resource }: LogRecord) => resource['service.name'] === 'npm-app';
  const rest = await until(
    'the members',
    WITHIN_MS,
    () => records('incident').find(ours),
    () =>
      JSON.stringify(
        both.collector
          .logs()
          .filter(ours)
          .map(({ body }) => body),
      ),
  );
  expect(rest.attributes['whodunit.incident.act']).toBe('terminal');
  expect(records('process.termination').filter(ours)).toHaveLength(1);
});

it.skipIf(!existsSync(POSTGRES))('PostgreSQL terminates the siblings of a killed backend', async () => {
  const bin = join(POSTGRES, readdirSync(POSTGRES)[0] ?? '', 'bin');
  const data = join(directory.path, 'postgres');
  const uid = Number(spawnSync('id', ['-u', 'postgres'], { encoding: 'utf8' }).stdout);
  spawnSync('install', ['-d', '-o', 'postgres', '-m', '0700', data]);
  chownSync(data, uid, uid);
  const as = (...command: string[]) => ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', ...command];
  const [initdb = '', ...args] = as(join(bin, 'initdb'), '-D', data, '--no-sync', '-A', 'trust');
  const { status, stderr } = spawnSync(initdb, args, { encoding: 'utf8', cwd: '/' });
  expect(status, stderr).toBe(0);
  const unit = `postgresql-${process.pid}.service`;
  const cgroup = makeCgroup(unit);
  const options = ['-D', data, '-c', 'listen_addresses=', '-c', `unix_socket_directories=${data}`];
  const server = start(cgroup.enter(as(join(bin, 'postgres'), ...options)));
  const psql = (sql: string) => start(['psql', '-h', data, '-U', 'postgres', '-Atc', sql]);
  await until('the server', WITHIN_MS, () => server.output().includes('ready to accept') || undefined, server.output);
  const client = await up(
    start(['psql', '-h', data, '-U', 'postgres', '-Atc', 'select pg_backend_pid()', '-c', 'select pg_sleep(1000)']),
  );
  const backend = Number(client.stdout());
  const other = psql('select pg_sleep(1000)');
  await until('the other one', WITHIN_MS, () => {
    const { stdout } = spawnSync('pgrep', ['-c', '-P', String(server.pid)], { encoding: 'utf8' });
    return Number(stdout) >= 7 || undefined;
  });
  kill('-9', backend);
  await Promise.all([client.ended, other.ended]);
  const root = await until('the backend', WITHIN_MS, () =>
    records('process.termination').find(({ resource }) => resource['process.pid'] === backend),
  );
  const id = root.attributes['whodunit.incident.id'];
  const rest = await until('the siblings', WITHIN_MS, () =>
    records('incident').find(({ attributes }) => attributes['whodunit.incident.id'] === id),
  );
  expect(rest.attributes['whodunit.incident.act']).toBe('crash');
  expect(Number(rest.attributes['whodunit.aggregated.count'])).toBeGreaterThanOrEqual(5);
  expect(
    records('process.termination').filter(({ resource }) => resource['whodunit.systemd.unit'] === unit),
  ).toHaveLength(1);
  await server.stop();
  await cgroup.remove();
});

it('docker kill of 31 processes', async () => {
  const docker = await startDocker();
  try {
    const name = `whodunit-incident-${process.pid}`;
    const container = docker.run(crew('/bin/sleep', 29), {}, '/', ['--name', name]);
    await up(container.program);
    docker.kill(name);
    await container.program.ended;
    const id = container.id();
    const rest = await until('the members', WITHIN_MS, () =>
      records('incident').find(
        ({ resource, attributes }) => resource['container.id'] === id && attributes['whodunit.incident.total'] === 31,
      ),
    );
    expect(rest.attributes).toMatchObject({
      'whodunit.incident.act': 'namespace_exit',
      'whodunit.sender.kind': 'process',
    });
  } finally {
    await docker.stop();
  }
});

it('cron executes pkill -f, which selects two innocents besides what was meant', async () => {
  const word = `invoices-${process.pid}`;
  const { path: at } = temporaryDirectory();
  chmodSync(at, 0o755);
  // As people write it, so that the shell of cron does not match.
  const pattern = `[i]${word.slice(1)}`;
  writeFileSync(join(at, 'tidy'), `* * * * * root pkill -f ${pattern}\n`);
  writeFileSync(join(at, `${word}.log`), '');
  const victims = [`perl -e 'sleep 1000' "$1-worker"`, `tail -f "$0/$1.log"`, `perl -e 'sleep 1000' backup "/srv/$1"`];
  // Its own mounts and pids: no other crontab is executed, and no other process is selected.
  const script = `set -e; mount --bind "$0" /etc/cron.d; mount -t tmpfs none /run; ${victims.join(' & ')} & exec cron -f`;
  const namespace = ['--mount', '--pid', '--fork', '--mount-proc', '--kill-child'];
  const cron = start(['unshare', ...namespace, 'sh', '-c', script, at, word]);
  onTestFinished(() => void cron.child.kill('SIGKILL'));
  const { root, rest } = await incidentOf(3, ({ attributes }) =>
    String(attributes['whodunit.sender.command_line']).endsWith(pattern),
  );
  expect(root.body).toMatch(
    /^(?:perl|tail) .* sent by pkill \(pid \d+, root\) ← sh ← cron ← cron.*: selected by `pkill -f \[i\]/,
  );
  // The three end at the same time, each on its own: the first one to be gone is the root.
  const [first] = String(root.body).split(' ');
  const members = String(rest.attributes['whodunit.incident.members']).replace(/\d+/g, 'N');
  const [tail, perl] = ['tail (pid N): SIGTERM', 'perl (pid N): SIGTERM'];
  if (first === 'perl') expect([`${tail},${perl}`, `${perl},${tail}`]).toContain(members);
  else expect(members).toMatch(/^N × perl: SIGTERM \(pids N(?:-|, )N\)$/);
  expect(rest.body).toMatch(/^pkill \(pid \d+, root\).* terminated 3 processes within/);
});
