// SPDX-License-Identifier: Apache-2.0
// The kernels of the kernel matrix, downloaded once into a cache outside the repository. Debian's: the newest package of each series is used. apt
// verifies the archive's signature and the package's hash. It runs with separate lists and a separate cache, so that the machine's sources do not
// change; the mirror is the machine's. One without BTF comes as a Go module, whose hash is pinned here. `--image` of test:kernels names any other.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../base/command.ts';
import { run, step } from '../base/run.ts';
import { CACHE } from './cache.ts';
import type { Arch } from './machine.ts';

const IMAGES = join(CACHE, 'kernels');

export interface Kernel {
  readonly name: string;
  readonly arch: Arch;
  readonly source: DebianPackage | GoModule | KernelFile;
  /** QEMU's model of the processor. */
  readonly cpu: string;
  /** Of the kernel's command line: unknown ones are the environment of init, which the loader inherits (test/kernels/vm). */
  readonly parameters: readonly string[];
  /** What runs as part of `npm test`: emulation is slow. */
  readonly inTests: 'all' | 'few cases' | 'nothing';
}

interface DebianPackage {
  /** Of the cache. */
  readonly series: string;
  /** The Debian archive that has the suite. */
  readonly archive: 'main' | 'security';
  readonly suite: string;
  readonly package: string;
}

interface GoModule {
  readonly module: string;
  readonly version: string;
  /** As in go.sum. */
  readonly sum: string;
}

/** A kernel of the person who runs the matrix. */
interface KernelFile {
  readonly file: string;
}

const bullseye: DebianPackage = {
  series: '5.10',
  archive: 'security',
  suite: 'bullseye-security',
  package: 'linux-image-5.10.0-*-cloud-amd64',
};
const bookworm: DebianPackage = {
  series: '6.1',
  archive: 'main',
  suite: 'bookworm',
  package: 'linux-image-6.1.0-*-cloud-amd64',
};
const trixie: DebianPackage = {
  series: '6.12',
  archive: 'main',
  suite: 'trixie',
  package: 'linux-image-6.12.*-cloud-amd64',
};
const sid: DebianPackage = {
  series: '7.x',
  archive: 'main',
  suite: 'sid',
  package: 'linux-binary-unsigned-7.*-cloud-amd64',
};
const trixieArm64: DebianPackage = {
  series: 'arm64',
  archive: 'main',
  suite: 'trixie',
  package: 'linux-image-6.12.*-cloud-arm64',
};
/** A kernel for appliances, built without BTF. */
const gokrazy: GoModule = {
  module: 'github.com/gokrazy/kernel.amd64',
  version: 'v0.0.0-20260705070735-de680abf072b',
  sum: 'h1:H9m4mwDqTyQG0AKVviBQp09T3OrY1X3tHNyrJCbqJfY=',
};

// 6.12 oopses under emulation with `-cpu max`.
export const SKYLAKE = 'Skylake-Client-v3';
// Kernel and programs sign return addresses. The architecture's own cipher takes most of the time of an emulated processor.
const ARM64_CPU = 'max,pauth-impdef=on';

/**
 * The kernel patches its own code when it finds the TSC unstable, on a busy machine: emulated processors sometimes fail then (int3 in
 * irqtime_account_irq()).
 */
const STEADY_CLOCK = 'tsc=nowatchdog';
/** The init hides the kernel's BTF. */
const HIDDEN = ['WHODUNIT_HIDE_BTF=1'];
/** The loader uses the probes of kernels without a ring buffer. */
const OLD_PROBES = ['WHODUNIT_PROBES=old'];
/** The loader uses those of kernels without raw tracepoints. */
const CLASSIC_PROBES = ['WHODUNIT_PROBES=classic'];

/** The kernels that are booted. */
export const KERNELS: readonly Kernel[] = [
  { name: '5.10', arch: 'amd64', source: bullseye, cpu: 'max', parameters: [], inTests: 'all' },
  { name: '6.1', arch: 'amd64', source: bookworm, cpu: 'max', parameters: [], inTests: 'all' },
  { name: '6.12', arch: 'amd64', source: trixie, cpu: SKYLAKE, parameters: [], inTests: 'all' },
  { name: '7.x', arch: 'amd64', source: sid, cpu: 'max', parameters: [], inTests: 'all' },
  { name: 'arm64', arch: 'arm64', source: trixieArm64, cpu: ARM64_CPU, parameters: [], inTests: 'all' },
  { name: '7.1', arch: 'amd64', source: gokrazy, cpu: SKYLAKE, parameters: [STEADY_CLOCK], inTests: 'few cases' },
  { name: '5.10-hidden', arch: 'amd64', source: bullseye, cpu: 'max', parameters: HIDDEN, inTests: 'nothing' },
  { name: '6.1-hidden', arch: 'amd64', source: bookworm, cpu: 'max', parameters: HIDDEN, inTests: 'nothing' },
  { name: '6.12-hidden', arch: 'amd64', source: trixie, cpu: SKYLAKE, parameters: HIDDEN, inTests: 'nothing' },
  { name: 'arm64-hidden', arch: 'arm64', source: trixieArm64, cpu: ARM64_CPU, parameters: HIDDEN, inTests: 'nothing' },
  { name: '5.10-old', arch: 'amd64', source: bullseye, cpu: 'max', parameters: OLD_PROBES, inTests: 'few cases' },
  {
    name: '5.10-classic',
    arch: 'amd64',
    source: bullseye,
    cpu: 'max',
    parameters: CLASSIC_PROBES,
    inTests: 'few cases',
  },
  { name: '6.1-old', arch: 'amd64', source: bookworm, cpu: 'max', parameters: OLD_PROBES, inTests: 'nothing' },
];

/** The base URLs of Debian's archives, from the machine's apt sources. */
export function mirrors(): Record<DebianPackage['archive'], string> {
  const parts = filesIn('/etc/apt/sources.list.d', /\.(list|sources)$/);
  const files = ['/etc/apt/sources.list', ...parts].filter(existsSync);
  const words = files
    .flatMap((file) => readFileSync(file, 'utf8').split('\n'))
    .filter((line) => !line.startsWith('#'))
    .flatMap((line) => line.split(/\s+/));
  const find = (pattern: RegExp) => words.find((word) => pattern.test(word))?.replace(/\/$/, '');
  const main = find(/^https?:\/\/\S+\/debian\/?$/);
  if (main === undefined)
    throw new Failure('/etc/apt has no Debian mirror: the kernel matrix downloads its kernels from there.');
  return { main, security: find(/^https?:\/\/\S+\/debian-security\/?$/) ?? `${main}-security` };
}

/** Returns a function that runs apt with its configuration, lists and cache in the directory. */
function apt(directory: string): (program: string, ...args: string[]) => Promise<string> {
  const configuration = join(directory, 'apt.conf');
  if (!existsSync(configuration)) {
    for (const sub of ['lists/partial', 'archives/partial']) mkdirSync(join(directory, sub), { recursive: true });
    const urls = mirrors();
    const signed = '[arch=%a signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]';
    const sources = KERNELS.flatMap(({ arch, source }) =>
      'suite' in source ? [`deb ${signed.replace('%a', arch)} ${urls[source.archive]} ${source.suite} main`] : [],
    );
    writeFileSync(join(directory, 'sources.list'), `${[...new Set(sources)].join('\n')}\n`);
    writeFileSync(join(directory, 'status'), '');
    writeFileSync(
      configuration,
      [
        `Dir::State "${directory}";`,
        `Dir::State::status "${directory}/status";`,
        `Dir::Cache "${directory}";`,
        `Dir::Etc::sourcelist "${directory}/sources.list";`,
        'Dir::Etc::sourceparts "-";',
        'APT::Architectures { "amd64"; "arm64"; };',
        'APT::Sandbox::User "root";',
        'Acquire::Languages "none";',
        '',
      ].join('\n'),
    );
  }
  const remedy = "Debian's mirror could not be read; see the output above.";
  return (program, ...args) => run(program, args, { env: { APT_CONFIG: configuration }, cwd: directory, remedy });
}

export interface KernelImage {
  /** The name of the package, or of the file. */
  readonly version: string;
  readonly image: string;
  /** The directory of its modules. */
  readonly modules: string | undefined;
}

/** Serializes downloads: they share apt's lists. */
let downloading: Promise<unknown> = Promise.resolve();

/** Returns the kernel from the cache, or downloads it. */
export function kernelImage(kernel: Kernel): Promise<KernelImage> {
  const turn = downloading.then(() => findOrDownload(kernel));
  downloading = turn.catch(() => {});
  return turn;
}

async function findOrDownload({ arch, source, name }: Kernel): Promise<KernelImage> {
  if ('file' in source) return { version: name, image: source.file, modules: undefined };
  return 'module' in source ? moduleImage(source) : debianImage(arch, source);
}

async function moduleImage({ module, version, sum }: GoModule): Promise<KernelImage> {
  const downloaded = JSON.parse(
    await run('go', ['mod', 'download', '-json', `${module}@${version}`], {
      cwd: tmpdir(),
      env: { GOFLAGS: '-mod=mod' },
      remedy: 'The Go module proxy could not be reached.',
    }),
  );
  if (downloaded.Sum !== sum)
    throw new Failure(`${module}@${version} has the hash ${downloaded.Sum} instead of ${sum}.`);
  return { version: `${module}@${version}`, image: join(downloaded.Dir, 'vmlinuz'), modules: undefined };
}

async function debianImage(arch: Arch, source: DebianPackage): Promise<KernelImage> {
  const { series } = source;
  const home = join(IMAGES, series);
  const [cached] = existsSync(home) ? readdirSync(home) : [];
  if (cached !== undefined) return contents(home, cached);
  const directory = join(IMAGES, 'apt');
  mkdirSync(directory, { recursive: true });
  const call = apt(directory);
  if (filesIn(join(directory, 'lists'), /Packages/).length === 0)
    await step("downloading Debian's package lists for the kernels", () => call('apt-get', 'update', '-qq'));
  return await step(`downloading Debian's kernel ${series} for ${arch}`, async () => {
    const listed = await call('apt-cache', 'pkgnames', source.package.split('*')[0] ?? '');
    const pattern = new RegExp(`^${source.package.replaceAll('.', '\\.').replace('*', '[^-]*')}$`);
    const names = listed.split('\n').filter((name) => pattern.test(name));
    const newest = names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
    if (newest === undefined) throw new Failure(`${source.suite} of Debian's mirror has no ${source.package}.`);
    const downloads = join(IMAGES, `${series}.new`);
    rmSync(downloads, { recursive: true, force: true });
    mkdirSync(downloads, { recursive: true });
    await run('apt-get', ['download', '-qq', `${newest}:${arch}`], {
      env: { APT_CONFIG: join(directory, 'apt.conf') },
      cwd: downloads,
    });
    const [archive] = filesIn(downloads, /\.deb$/);
    if (archive === undefined) throw new Failure(`apt-get downloaded no package ${newest}.`);
    await run('dpkg', ['-x', archive, join(downloads, newest)]);
    rmSync(archive);
    renameSync(downloads, home);
    return contents(home, newest);
  });
}

function contents(home: string, version: string): KernelImage {
  const root = join(home, version);
  const [modules] = ['lib/modules', 'usr/lib/modules'].flatMap((path) => filesIn(join(root, path), /./));
  const [image] = [join(root, 'boot'), modules ?? root].flatMap((directory) => filesIn(directory, /^vmlinuz/));
  if (image === undefined) throw new Failure(`${root} has no kernel image: remove that directory and try again.`);
  return { version, image, modules };
}

/** Returns the paths in the directory whose names match; empty if the directory does not exist. */
function filesIn(directory: string, name: RegExp): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((file) => name.test(file))
    .map((file) => join(directory, file));
}
