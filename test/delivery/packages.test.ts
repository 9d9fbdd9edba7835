// SPDX-License-Identifier: Apache-2.0
// The packages as users install them: the npm package in an empty prefix; the .deb on a Debian with systemd as process 1, whose units must
// report a real termination. The .rpm is compared with the .deb, file by file.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  LOADER,
  MORTAL,
  NODE,
  type Program,
  ROOT,
  startProgram,
  temporaryDirectory,
  until,
} from '../../scripts/stack/program.ts';
import { loaderArgs, place } from '../../scripts/stack/whodunit.ts';
import { CAN_INJECT, FORBIDDEN, inject, NR } from '../support/inject.ts';
import { prepared } from './bases.ts';
import { bootMachine, type Machine } from './machine.ts';

const REPORTED_WITHIN_MS = 60_000;
const PACKAGES = join(ROOT, 'build/packages');
const packageNamed = (pattern: RegExp): string => {
  const found = readdirSync(PACKAGES).find((name) => pattern.test(name));
  if (found === undefined) throw new Error(`${PACKAGES} has no ${pattern}: \`npm run package\` makes it`);
  return join(PACKAGES, found);
};
const run = (program: string, ...args: string[]): string => {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${status}\n${stdout}${stderr}`);
  return stdout;
};
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
/** e_machine of an ELF header. */
const machineOf = (path: string): number => readFileSync(path).readUInt16LE(18);
const MACHINES = { amd64: 62, arm64: 183 };

describe('the npm package', () => {
  const prefix = temporaryDirectory();
  const at = (name: string) => join(prefix.path, 'node_modules', name);
  const env = { ...process.env, PATH: `${dirname(NODE)}:${process.env.PATH}` };

  beforeAll(() => {
    const tarball = packageNamed(/\.tgz$/);
    run('npm', 'install', '--prefix', prefix.path, '--ignore-scripts', '--prefer-offline', '--no-audit', tarball);
  });

  afterAll(() => prefix.remove());

  it('has working commands, and no install scripts', () => {
    const call = (name: string, ...args: string[]) => spawnSync(at(`.bin/${name}`), args, { env, encoding: 'utf8' });
    expect(call('whodunit', '--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('usage: whodunit') });
    expect(call('whodunit-loader', '--version').stdout).toMatch(/^whodunit-loader \d/);
    expect(call('whodunit-loader', 'check')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^ok +kernel/) });
    const { scripts = {} } = JSON.parse(readFileSync(at('whodunit/package.json'), 'utf8'));
    expect(Object.keys(scripts).filter((name) => /^(pre|post)?install$/.test(name))).toEqual([]);
  });

  it('has a loader for each processor', () => {
    expect(machineOf(at('whodunit/prebuilt/linux-x64/whodunit-loader'))).toBe(MACHINES.amd64);
    expect(machineOf(at('whodunit/prebuilt/linux-arm64/whodunit-loader'))).toBe(MACHINES.arm64);
  });

  it('reports a real termination, and the loader exits on SIGTERM', async () => {
    const here = await place();
    const programs: Program[] = [];
    try {
      const loader = startProgram(at('.bin/whodunit-loader'), loaderArgs(here), { env });
      programs.push(loader);
      await until(
        'the loader is ready',
        REPORTED_WITHIN_MS,
        () => /\bready\b/.test(loader.output()) || undefined,
        loader.output,
      );
      const service = startProgram(at('.bin/whodunit'), ['run', '--output', 'json'], {
        env: { ...env, WHODUNIT_SOCKET: here.socket, WHODUNIT_HEALTH_ADDR: here.health, WHODUNIT_REPORT: 'all' },
      });
      programs.unshift(service);
      await until(
        'it is connected',
        REPORTED_WITHIN_MS,
        () => /consumer connected/.test(loader.output()) || undefined,
        loader.output,
      );
      const victim = startProgram(MORTAL, ['segfault']);
      await victim.ended;
      const line = await until(
        'the report',
        REPORTED_WITHIN_MS,
        () =>
          service
            .stdout()
            .split('\n')
            .find((text) => text.includes(`"process.pid":${victim.pid},`)),
        service.output,
      );
      expect(JSON.parse(line).attributes).toMatchObject({ 'whodunit.cause': 'fault' });
    } finally {
      for (const program of programs) expect(await program.stop()).toEqual({ code: 0, signal: null });
      here.directory.remove();
    }
  });
});

describe.each(['amd64', 'arm64'] as const)('the packages for %s', (arch) => {
  const deb = () => packageNamed(new RegExp(`_${arch}\\.deb$`));
  const rpm = () => packageNamed(new RegExp(`\\.${arch === 'amd64' ? 'x86_64' : 'aarch64'}\\.rpm$`));
  /** Files and links, without directories: the rpm does not list those of other packages. */
  const debFiles = () =>
    run('dpkg-deb', '--contents', deb())
      .split('\n')
      .filter((line) => /^[-l]/.test(line))
      .map((line) => (line.split(/\s+/)[5] ?? '').replace(/^\./, ''))
      .sort();

  it('have units, configuration and programs in their places, the same in both', () => {
    const files = debFiles();
    for (const file of [
      '/usr/bin/whodunit',
      '/usr/bin/whodunit-loader',
      '/usr/lib/systemd/system/whodunit-loader.service',
      '/usr/lib/systemd/system/whodunit.service',
      '/usr/lib/sysusers.d/whodunit.conf',
      '/usr/lib/tmpfiles.d/whodunit.conf',
      '/usr/lib/whodunit/whodunit',
      '/usr/lib/whodunit/node',
      '/usr/lib/whodunit/dist/main.js',
      '/etc/whodunit/whodunit.env',
      '/etc/whodunit/rules.yaml',
      '/usr/share/man/man1/whodunit.1.gz',
      '/usr/share/bash-completion/completions/whodunit',
      '/usr/share/zsh/vendor-completions/_whodunit',
      '/usr/share/fish/vendor_completions.d/whodunit.fish',
      '/usr/share/doc/whodunit/THIRD-PARTY-NOTICES',
    ])
      expect(files).toContain(file);
    const listed = run('rpm', '--query', '--list', '--package', rpm()).trim().split('\n');
    const directories = new Set(listed.filter((path) => listed.some((other) => other.startsWith(`${path}/`))));
    expect(listed.filter((path) => !directories.has(path)).sort()).toEqual(files);
  });

  it('are for that processor', () => {
    const directory = temporaryDirectory();
    run('dpkg-deb', '--extract', deb(), directory.path);
    for (const program of ['node', 'whodunit-loader'])
      expect(machineOf(join(directory.path, 'usr/lib/whodunit', program))).toBe(MACHINES[arch]);
    directory.remove();
    expect(run('dpkg-deb', '--field', deb(), 'Architecture').trim()).toBe(arch);
  });
});

/** The pid on this host of a loader whose pid on the machine is given. */
function outside(inside: string): string | undefined {
  return readdirSync('/proc').find((pid) => {
    try {
      return new RegExp(`^Name:\twhodunit-loader\n[^]*^NSpid:\t${pid}\t${inside}$`, 'm').test(
        readFileSync(`/proc/${pid}/status`, 'utf8'),
      );
    } catch {
      return false; // not a process, or it has ended
    }
  });
}

describe('the .deb on a Debian with systemd', () => {
  let machine: Machine;
  const journal = () => machine.call('journalctl', '--unit', 'whodunit*', '--no-pager', '--output', 'cat').output;
  const show = (unit: string, property: string) =>
    machine.call('systemctl', 'show', '--value', '--property', property, unit).output.trim();

  beforeAll(async () => {
    machine = await bootMachine(JSON.parse(prepared('WHODUNIT_TEST_BASES')).debian);
    mkdirSync(machine.path('/opt/test'), { recursive: true });
    const deb = packageNamed(/_amd64\.deb$/);
    copyFileSync(deb, machine.path('/opt/test/whodunit.deb'));
    copyFileSync(MORTAL, machine.path('/opt/test/mortal'));
    machine.call('chmod', '755', '/opt/test/mortal');
    expect(machine.call('dpkg', '--install', '/opt/test/whodunit.deb')).toMatchObject({
      status: 0,
      output: expect.stringContaining('systemctl enable --now whodunit-loader whodunit'),
    });
  });

  afterAll(() => machine?.stop());

  it('the units pass systemd-analyze verify and security', () => {
    // Tenths: 1.3 and 1.8 of 10, where 10 is unconfined. The service sees the processes of others (docs/decisions/0108).
    for (const [unit, threshold] of [
      ['whodunit-loader.service', 13],
      ['whodunit.service', 18],
    ] as const) {
      expect(machine.call('systemd-analyze', 'verify', '--man=no', unit)).toEqual({ status: 0, output: '' });
      expect(machine.call('systemd-analyze', 'security', `--threshold=${threshold}`, unit)).toMatchObject({
        status: 0,
      });
    }
  });

  it('both start, each as its own user, and report a real termination; what a loader of root has pinned is taken over', async () => {
    const byRoot =
      'timeout --preserve-status --signal=TERM 30 whodunit-loader run --scope /system.slice 2>&1 | tee /run/by-root';
    machine.call('systemd-run', '--unit=by-root', 'sh', '-c', byRoot);
    await until(
      'the loader of root',
      REPORTED_WITHIN_MS,
      () => /\bready\b/.test(machine.call('cat', '/run/by-root').output) || undefined,
      journal,
    );
    machine.call('systemctl', 'stop', 'by-root');
    // Without other terminations on this host.
    const dropIn = machine.path('/etc/systemd/system/whodunit-loader.service.d');
    mkdirSync(dropIn);
    writeFileSync(join(dropIn, 'scope.conf'), '[Service]\nEnvironment=WHODUNIT_SCOPE=/system.slice\n');
    machine.call('systemctl', 'daemon-reload');
    expect(machine.call('systemctl', 'enable', '--now', 'whodunit-loader', 'whodunit')).toMatchObject({ status: 0 });
    // Immediately: started means that the probes are attached.
    expect(machine.call('systemd-run', '--wait', '--unit=victim', '/opt/test/mortal', 'segfault').output).toContain(
      'status=11/SEGV',
    );
    for (const unit of ['whodunit-loader', 'whodunit'])
      await until(
        `${unit} is active`,
        REPORTED_WITHIN_MS,
        () => show(unit, 'ActiveState') === 'active' || undefined,
        journal,
      );
    expect(journal()).toContain('took over the probes');
    expect(show('whodunit', 'WatchdogTimestampMonotonic')).not.toBe('0');
    const status = (unit: string) => machine.call('cat', `/proc/${show(unit, 'MainPID')}/status`).output;
    for (const unit of ['whodunit-loader', 'whodunit']) {
      const uid = machine.call('id', '--user', unit).output.trim();
      expect(status(unit)).toMatch(new RegExp(`^Uid:\\t${uid}\\t${uid}\\t${uid}\\t${uid}$`, 'm'));
      expect(status(unit)).toMatch(/^CapPrm:\t0+\nCapEff:\t0+$/m);
    }
    await until(
      'the filter',
      REPORTED_WITHIN_MS,
      () => /^Seccomp_filters:\t[2-9]/m.test(status('whodunit-loader')) || undefined,
    );
    // One line in the journal.
    const pattern = / FATAL mortal \(pid \d+\) crashed with SIGSEGV .* · service victim · /;
    await until('the report', REPORTED_WITHIN_MS, () => pattern.test(journal()) || undefined, journal);
  });

  it('the report is in the history of root and of the group; other users get the remedy', () => {
    const list = (...as: string[]) => machine.call(...(as as [string]), 'whodunit', 'list', '--executable', 'mortal');
    expect(list('env')).toMatchObject({ status: 0, output: expect.stringMatching(/mortal +\d+ +fault SIGSEGV/) });
    expect(list('setpriv', '--reuid=nobody', '--regid=whodunit', '--clear-groups').status).toBe(0);
    const nobody = list('setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups');
    expect(nobody).toMatchObject({ status: 2, output: expect.stringContaining('use sudo, or join that group') });
  });

  it('has a man page and completions', () => {
    const page = machine.path('/usr/share/man/man1/whodunit.1.gz');
    expect(gunzipSync(readFileSync(page)).toString()).toMatch(/^\.TH WHODUNIT 1 /);
    const hasMan = machine.call('sh', '-c', 'command -v man').status === 0;
    if (hasMan) expect(machine.call('man', 'whodunit').output).toContain('whodunit list');
    const complete =
      '. /usr/share/bash-completion/completions/whodunit; COMP_WORDS=(whodunit li); COMP_CWORD=1; _whodunit; echo "$COMPREPLY"';
    expect(machine.call('bash', '-c', complete)).toEqual({ status: 0, output: 'list\n' });
  });

  it('names the functions of a crash: in another user’s executable with mode 0700, below a mount, removed, and in memory', async () => {
    const chain = machine.path('/opt/test/chain');
    run(
      'cc',
      '-O2',
      '-fomit-frame-pointer',
      '-rdynamic',
      '-s',
      '-o',
      chain,
      join(ROOT, 'test/delivery/crashing/chain.c'),
    );
    for (const [unit, command] of [
      [
        'private',
        'cp /opt/test/chain /srv/private && chown nobody /srv/private && chmod 700 /srv/private && exec setpriv --reuid nobody --clear-groups /srv/private',
      ],
      ['inhome', 'cp /opt/test/chain /root/inhome && exec /root/inhome'],
      ['hidden', 'cp /opt/test/chain /tmp/hidden && exec /tmp/hidden'],
      ['removed', 'cp /opt/test/chain /srv/removed && exec /srv/removed unlink'],
      ['inmemory', 'cp /opt/test/chain /dev/shm/inmemory && exec /dev/shm/inmemory'],
    ] as const) {
      const { output } = machine.call('systemd-run', '--wait', `--unit=crash-${unit}`, 'sh', '-c', command);
      expect(output).toContain('status=11/SEGV');
      const whole = () =>
        machine.call('whodunit', 'list', '--unit', `crash-${unit}.service`, '--output', 'json').output;
      const stack = /"#0 leaf[^"]*\\n#1 four[^"]*\\n#2 three[^"]*\\n#3 two[^"]*\\n#4 one[^"]*\\n#5 main/;
      await until(`the stack of ${unit}`, REPORTED_WITHIN_MS, () => stack.test(whole()) || undefined, journal);
    }
  });

  it('the unit itself hides the pins of others and makes /proc/sys read-only, whatever the loader is made to do', () => {
    const mounts = machine.call('cat', `/proc/${show('whodunit-loader', 'MainPID')}/mountinfo`).output;
    expect(mounts).toMatch(/ \/proc\/sys ro[, ]/);
    expect(mounts).toMatch(/ \/whodunit \/sys\/fs\/bpf\/whodunit rw[, ].* - bpf /);
    expect(mounts).toMatch(/ \/sys\/fs\/bpf ro[, ].* - tmpfs /);
    expect(machine.call('stat', '--format=%U %a', '/run/whodunit').output).toBe('whodunit-loader 755\n');
    expect(machine.call('stat', '--format=%U %G %a', '/run/whodunit/events.sock').output).toBe(
      'whodunit-loader whodunit 660\n',
    );
  });

  it.runIf(CAN_INJECT)('the running loader opens and connects to nothing, if it is taken over', async () => {
    const loader = until('its pid outside', REPORTED_WITHIN_MS, () => outside(show('whodunit-loader', 'MainPID')));
    const inside = show('whodunit-loader', 'MainPID');
    expect(await inject(Number(await loader), [...FORBIDDEN, ['64', NR.getpid]])).toEqual([
      'EPERM',
      'EPERM',
      'EPERM',
      inside,
    ]);
  });

  it('the loader starts on a kernel without BTF, with the types that root found before', () => {
    const dropIn = machine.path('/etc/systemd/system/whodunit-loader.service.d/hidden.conf');
    const calibration = machine.path('/var/lib/whodunit-loader/calibration.json');
    const restart = () => machine.call('systemctl', 'restart', 'whodunit-loader').status;
    // Here, as the machine has a pid namespace of its own.
    const hidden = `mount -t tmpfs none /sys/kernel/btf && exec ${LOADER} calibrate --calibration ${calibration}`;
    expect(run('unshare', '--mount', 'sh', '-c', hidden)).toContain('kept in');
    writeFileSync(dropIn, '[Service]\nTemporaryFileSystem=/sys/kernel/btf\n');
    machine.call('systemctl', 'daemon-reload');
    try {
      expect(restart(), journal()).toBe(0);
      expect(journal()).toMatch(/three terminations agree with them\n[\s\S]*the probes use types found by observation/);
      writeFileSync(calibration, '{');
      expect(restart()).not.toBe(0);
      expect(journal()).toMatch(/calibration\.json is not used: it is damaged/);
    } finally {
      rmSync(dropIn);
      machine.call('systemctl', 'daemon-reload');
    }
    expect(restart()).toBe(0);
  });

  it('with the probes of kernels before 5.8, and the capabilities of the documentation: systemd keeps them until the loader is there again', async () => {
    const [, capabilities] =
      /^```\n(\[Service\]\nCapabilityBoundingSet=[^`]*)```$/m.exec(read('docs/privileges.md')) ?? [];
    expect(capabilities).toContain('CAP_SYS_ADMIN');
    const dropIn = machine.path('/etc/systemd/system/whodunit-loader.service.d/then-old.conf'); // after scope.conf
    writeFileSync(dropIn, `${capabilities}Environment=WHODUNIT_PROBES=old WHODUNIT_SCOPE=host\n`);
    machine.call('systemctl', 'daemon-reload');
    try {
      expect(machine.call('systemctl', 'restart', 'whodunit-loader'), journal()).toMatchObject({ status: 0 });
      machine.call('systemctl', 'kill', '--signal=KILL', 'whodunit-loader');
      const crash = machine.call('systemd-run', '--wait', '--unit=between', '/opt/test/mortal', 'segfault');
      expect(crash.output).toContain('status=11/SEGV');
      expect(show('whodunit-loader', 'ActiveState')).not.toBe('active'); // for RestartSec=
      const pattern = / FATAL mortal \(pid \d+\) crashed with SIGSEGV .* · service between · /;
      await until('the report', REPORTED_WITHIN_MS, () => pattern.test(journal()) || undefined, journal);
      expect(journal()).toContain('took over the probes of kernels before 5.8');
      expect(journal()).not.toContain('No probe was attached');
    } finally {
      rmSync(dropIn);
      machine.call('systemctl', 'daemon-reload');
    }
    expect(machine.call('systemctl', 'restart', 'whodunit-loader'), journal()).toMatchObject({ status: 0 });
  });

  it('the service is restarted after it is killed', async () => {
    const before = show('whodunit', 'MainPID');
    machine.call('systemctl', 'kill', '--signal=KILL', 'whodunit');
    await until(
      'another one is active',
      REPORTED_WITHIN_MS,
      () => (show('whodunit', 'MainPID') !== before && show('whodunit', 'ActiveState') === 'active') || undefined,
      journal,
    );
  });

  it('a loader of root takes over the pins of the unit, and the unit takes them back; `check` works as root', async () => {
    machine.call('systemctl', 'stop', 'whodunit-loader');
    expect(machine.call('whodunit-loader', 'check').output).toMatch(/^ok +pins +probes are pinned/m);
    const taken = machine.call(
      'timeout',
      '--preserve-status',
      '--signal=TERM',
      '5',
      'whodunit-loader',
      'run',
      '--scope',
      '/system.slice',
    );
    expect(taken).toEqual({ status: 0, output: expect.stringContaining('took over the probes') });
    expect(machine.call('systemctl', 'start', 'whodunit-loader'), journal()).toMatchObject({ status: 0 });
  });

  it('is removed without leaving probes, units or programs, and keeps the configuration', () => {
    expect(machine.call('dpkg', '--remove', 'whodunit')).toMatchObject({ status: 0 });
    expect(readdirSync(machine.path('/sys/fs/bpf'))).not.toContain('whodunit');
    expect(machine.call('systemctl', 'cat', 'whodunit').status).not.toBe(0);
    expect(readdirSync(machine.path('/etc/whodunit')).sort()).toEqual(['rules.yaml', 'whodunit.env']);
    expect(machine.call('test', '-e', '/usr/bin/whodunit').status).toBe(1);
  });
});
