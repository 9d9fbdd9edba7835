// SPDX-License-Identifier: Apache-2.0
// Tests the privileges of the loader: it works with the capabilities that every deployment grants, and each of them is necessary; it works
// as a user of its own. docs/deployment.md has the table.
import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LOADER, type Program, ROOT, startProgram, until } from '../../scripts/stack/program.ts';
import { loaderArgs, type Place, place } from '../../scripts/stack/whodunit.ts';

const ALL = ['bpf', 'perfmon', 'syslog'];
const READY_WITHIN_MS = 60_000;

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

async function newPlace(): Promise<Place> {
  const at = await place();
  cleanUp.push(() => at.directory.remove());
  return at;
}

const these = (capabilities: readonly string[]) => ['-all', ...capabilities.map((name) => `+${name}`)].join(',');

/** Starts the loader as root with only these capabilities, in a new network namespace. Waits until it is ready or has exited. */
async function startWith(capabilities: readonly string[]): Promise<Program> {
  const confined = [`--bounding-set=${these(capabilities)}`, '--inh-caps=-all', '--no-new-privs', '--', LOADER];
  return startIn(await newPlace(), ['unshare', '--net', 'setpriv', ...confined]);
}

/** Starts the loader with this before its command line. */
async function startIn(
  at: Place,
  [program = '', ...before]: readonly string[],
  args = loaderArgs(at),
): Promise<Program> {
  const loader = startProgram(program, [...before, ...args]);
  cleanUp.push(async () => {
    await loader.stop();
    spawnSync(LOADER, ['unload', '--pin-dir', at.pinDir]);
  });
  const settled = () => /\bready\b/.test(loader.output()) || !loader.alive() || undefined;
  await until('the loader is ready or has exited', READY_WITHIN_MS, settled, loader.output);
  return loader;
}

describe('the loader', () => {
  it(`needs only ${ALL.join(', ')}, and drops them after the start`, async () => {
    const loader = await startWith(ALL);
    expect(loader.output()).toMatch(/^\S+ INFO whodunit-loader: attached the probes, [^\n]*\n$/);
    expect(readFileSync(`/proc/${loader.pid}/status`, 'utf8')).toMatch(/^CapPrm:\t0+\nCapEff:\t0+$/m);
  });

  it.each([
    ['bpf', /needs root \(or CAP_BPF and CAP_PERFMON/],
    ['perfmon', /needs root \(or CAP_BPF and CAP_PERFMON/],
    ['syslog', /no kernel function names: .*CAP_SYSLOG[^\n]*\n.*\bready\b/],
  ])('reports what is missing without %s', async (missing, message) => {
    const loader = await startWith(ALL.filter((name) => name !== missing));
    expect(loader.output()).toMatch(message);
  });
});

/** The user of the loader. It owns nothing on any machine. */
const USER = 54_340;
const AS_USER = [
  ...['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups', `--bounding-set=${these(ALL)}`],
  ...[`--inh-caps=${these(ALL)}`, `--ambient-caps=${these(ALL)}`, '--no-new-privs', '--', LOADER],
];

describe('as a user of its own, with ambient capabilities', () => {
  let at: Place;

  beforeEach(async () => {
    const here = await newPlace();
    chownSync(here.directory.path, USER, USER);
    const mounted = join(here.directory.path, 'bpf');
    mkdirSync(mounted);
    call('mount', '-t', 'bpf', '-o', 'mode=0711', 'bpf', mounted);
    cleanUp.push(() => call('umount', mounted));
    at = { ...here, pinDir: join(mounted, 'whodunit') };
    mkdirSync(at.pinDir, { mode: 0o700 });
    giveTo(USER);
  });

  const call = (program: string, ...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    expect(status, `${stdout}${stderr}`).toBe(0);
    return stdout;
  };
  const giveTo = (uid: number) => call('chown', '-hR', `${uid}:${uid}`, at.pinDir);
  const status = ({ pid }: Program) => readFileSync(`/proc/${pid}/status`, 'utf8');
  const keepingPins = () => [
    ...loaderArgs(at).filter((arg) => arg !== '--unload-on-exit'),
    ...['--socket-group', `${USER}`],
  ];
  const startAs = (before: readonly string[]) => startIn(at, before, keepingPins());

  it('it attaches the probes, drops the capabilities, and is confined', async () => {
    const loader = await startAs(AS_USER);
    expect(loader.output()).toMatch(/^\S+ INFO whodunit-loader: attached the probes, [^\n]*\n$/);
    expect(status(loader)).toMatch(new RegExp(`^Uid:\t${USER}\t${USER}\t${USER}\t${USER}$`, 'm'));
    expect(status(loader)).toMatch(/^CapInh:\t0+\nCapPrm:\t0+\nCapEff:\t0+$/m);
    expect(status(loader)).toMatch(/^CapAmb:\t0+\nNoNewPrivs:\t1\nSeccomp:\t2$/m);
    expect(call(LOADER, 'health', '--socket', at.socket)).toBe('');
  });

  it('it takes over the pins of a loader that ran as root, once they are its own, and the reverse; `check` and `unload` work as root', async () => {
    await (await startAs([LOADER])).stop();
    const refused = await startAs(AS_USER);
    expect(refused.output()).toMatch(new RegExp(`permission denied; user ${USER} is not root`));
    giveTo(USER);
    const asUser = await startAs(AS_USER);
    expect(asUser.output()).toContain('took over the probes');
    await asUser.stop();
    const asRoot = await startAs([LOADER]);
    expect(asRoot.output()).toContain('took over the probes');
    await asRoot.stop();
    expect(call(LOADER, 'check', '--pin-dir', at.pinDir)).toMatch(/^ok +pins +probes are pinned/m);
    expect(call(LOADER, 'unload', '--pin-dir', at.pinDir)).toMatch(/removed [1-9]\d* pins/);
  });

  it('on a kernel without BTF, it uses what root found before, as long as only root can have written it', async () => {
    const calibration = join(at.directory.path, 'calibration.json');
    const hidden = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', 'sh'];
    const calibrate = () =>
      call(hidden[0] ?? '', ...hidden.slice(1), LOADER, 'calibrate', '--calibration', calibration);
    const start = () => startIn(at, [...hidden, ...AS_USER], [...keepingPins(), '--calibration', calibration]);
    const ended = async (loader: Program) => `${loader.output()}${(await loader.ended).code}`;
    expect(await ended(await start())).toMatch(
      /needs CAP_KILL, .*run `whodunit-loader calibrate` with sudo once[\s\S]*77$/,
    );
    expect(calibrate()).toContain(`kept in ${calibration}\n`);
    expect(calibrate()).toBe(`${calibration} has the types of this kernel, and three terminations agree with them\n`);
    const loader = await start();
    expect(loader.output()).toMatch(/the probes use types found by observation[\s\S]*attached the probes/);
    await loader.stop();
    chownSync(calibration, USER + 1, 0);
    expect(await ended(await start())).toMatch(
      new RegExp(`${calibration} is not used: it belongs to user ${USER + 1}[^]*77$`),
    );
    expect(calibrate()).toMatch(/is not used: it belongs to user \d+\n.*kept in/);
  });

  it('it says that it must be in the group of the socket', async () => {
    const loader = await startIn(at, AS_USER);
    expect(loader.output()).toMatch(
      /change the group of the socket to 0: .*the loader must be in that group.*--socket-group/,
    );
  });

  it('a root without CAP_DAC_OVERRIDE, as in a container, says what to do about its pins', async () => {
    await (await startAs(AS_USER)).stop();
    const confined = await startAs(['setpriv', `--bounding-set=${these(ALL)}`, '--inh-caps=-all', '--', LOADER]);
    expect(confined.output()).toMatch(
      /permission denied; it belongs to another user.*chown -hR root:.*whodunit-loader unload/,
    );
  });
});

it('systemd rates the unit of the loader at most 1.3 of 10', () => {
  const unit = join(ROOT, 'examples/systemd/whodunit-loader.service');
  const { status, stdout } = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=13', unit], {
    encoding: 'utf8',
  });
  expect(stdout).toMatch(/Overall exposure level for whodunit-loader\.service: [01]\.\d /);
  expect(status).toBe(0);
});

it('every deployment grants these, and no others', () => {
  const read = (name: string) => readFileSync(join(ROOT, name), 'utf8');
  for (const set of ['CapabilityBoundingSet', 'AmbientCapabilities'])
    expect(read('examples/systemd/whodunit-loader.service')).toContain(
      `\n${set}=CAP_BPF CAP_PERFMON CAP_SYSLOG CAP_DAC_READ_SEARCH\n`,
    );
  // docker-compose.yml and the manifests are read by compose.test.ts and kubernetes.test.ts.
  const table = [...read('docs/deployment.md').matchAll(/^\| `CAP_(\w+)`/gm)].map(([, name]) => name?.toLowerCase());
  expect(table).toEqual([...ALL, 'dac_read_search']);
});
