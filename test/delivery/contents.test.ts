// SPDX-License-Identifier: Apache-2.0
// What is inside the packages, and what lies beside them: the list of their parts is compared with what esbuild and Go say, the checksums with
// the files, and all of it with the packages of a second build.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAGE_BUILD } from '../../scripts/build/page.ts';
import { SERVICE_BUILD } from '../../scripts/build/service.ts';
import { ROOT, temporaryDirectory } from '../../scripts/stack/program.ts';

const PACKAGES = join(ROOT, 'build/packages');
/** What the .deb has in other places. */
const ONLY_IN_ARCHIVE = ['LICENSE', 'README.md', 'THIRD-PARTY-NOTICES', 'shell'];
const { version, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

function run(program: string, args: readonly string[], cwd = ROOT): string {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${status}\n${stdout}${stderr}`);
  return stdout;
}

const unpacked = temporaryDirectory();
afterAll(() => unpacked.remove());

/** Unpacks a package. Returns its directory. */
function unpack(name: string): string {
  const directory = join(unpacked.path, name);
  mkdirSync(directory);
  if (name.endsWith('.deb')) run('dpkg-deb', ['--extract', join(PACKAGES, name), directory]);
  else run('tar', ['-xzf', join(PACKAGES, name), '-C', directory, '--strip-components=1']);
  return directory;
}

interface Component {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly components?: readonly Component[];
}

const componentsOf = (what: string): Component[] =>
  JSON.parse(readFileSync(join(PACKAGES, `whodunit-${version}-${what}.cdx.json`), 'utf8')).components;
const named = ({ name, version: its }: Component) => `${name}@${its.replace(/^v|^go/, '')}`;
const ofKind = (components: readonly Component[], kind: string) =>
  components.filter(({ purl }) => purl.startsWith(`pkg:${kind}/`) && !purl.includes('/node-linux-')).map(named);

/** The npm packages of which esbuild writes something. */
async function bundled(): Promise<string[]> {
  const built = await Promise.all([SERVICE_BUILD, PAGE_BUILD].map((how) => build({ ...how, write: false })));
  const inputs = built
    .flatMap(({ metafile }) => Object.values(metafile.outputs))
    .flatMap((output) => Object.entries(output.inputs))
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .map(([path]) => path.split('node_modules/'))
    .filter(({ length }) => length > 1)
    .map((parts) => {
      const [first = '', second = ''] = (parts.pop() ?? '').split('/');
      return `${parts.join('node_modules/')}node_modules/${first.startsWith('@') ? `${first}/${second}` : first}`;
    });
  return [...new Set(inputs)].map((path) => named(JSON.parse(readFileSync(join(ROOT, path, 'package.json'), 'utf8'))));
}

/** Go, and the modules of a loader. */
function modulesOf(loader: string): string[] {
  const text = run('go', ['version', '-m', loader]);
  const modules = [...text.matchAll(/^\tdep\t(\S+)\tv(\S+)/gm)].map(([, name, its]) => `${name}@${its}`);
  return [`std@${/: go(\S+)/.exec(text)?.[1]}`, ...modules];
}

describe.each(['amd64', 'arm64'])('the .tar.gz and the .deb for %s', (arch) => {
  const archive = `whodunit-${version}-linux-${arch}.tar.gz`;
  let folder: string;
  let installed: string;
  beforeAll(() => {
    folder = unpack(archive);
    installed = unpack(`whodunit_${version}_${arch}.deb`);
  });

  it('have the same programs', () => {
    const programs = join(installed, 'usr/lib/whodunit');
    const without = ONLY_IN_ARCHIVE.map((name) => `--exclude=${name}`);
    expect(run('diff', ['--recursive', '--brief', ...without, programs, folder])).toBe('');
    expect(readdirSync(folder).sort()).toEqual([...ONLY_IN_ARCHIVE, ...readdirSync(programs)].sort());
  });

  it('belong to root, and have the date of the commit', () => {
    const listed = run('tar', ['--numeric-owner', '--full-time', '-tvzf', join(PACKAGES, archive)])
      .trim()
      .split('\n');
    const [first = ''] = listed;
    const [, owner, , day, time] = first.split(/\s+/);
    expect(owner).toBe('0/0');
    for (const line of listed) expect(line).toMatch(new RegExp(`^\\S+ 0/0 +\\d+ ${day} ${time} `));
    expect(listed.filter((line) => !/^(?:drwxr-xr-x|-rwxr-xr-x|-rw-r--r--) /.test(line))).toEqual([]);
  });

  it('have the parts that are listed beside them: npm packages, Go modules, Node.js', async () => {
    const components = componentsOf(`linux-${arch}`);
    expect(ofKind(components, 'npm').sort()).toEqual((await bundled()).sort());
    expect(ofKind(components, 'golang').sort()).toEqual(modulesOf(join(folder, 'whodunit-loader')).sort());
    const node = components.find(({ name }) => name === 'node');
    expect(node?.version).toBe(devDependencies.node);
    expect(node?.components?.map(({ name }) => name)).toEqual(expect.arrayContaining(['openssl', 'v8', 'uv', 'zlib']));
    if (arch === 'amd64') expect(run(join(folder, 'node'), ['--version']).trim()).toBe(`v${node?.version}`);
  });

  it('have the licences of all parts', () => {
    const text = readFileSync(join(folder, 'THIRD-PARTY-NOTICES'), 'utf8');
    expect(readFileSync(join(installed, 'usr/share/doc/whodunit/THIRD-PARTY-NOTICES'), 'utf8')).toBe(text);
    for (const { name, version: its } of componentsOf(`linux-${arch}`).filter(
      ({ name }) => name !== 'node' && name !== 'std',
    ))
      expect(text).toContain(`\n${name} ${its}\n`);
    expect(text).toContain(`\nNode.js ${devDependencies.node}\n`);
    expect(text).toMatch(/\nGo \d/);
    for (const part of ['OpenSSL', 'Apache License', 'Permission is hereby granted']) expect(text).toContain(part);
  });
});

describe('the npm package', () => {
  it('has the parts that are listed beside it, with their licences', async () => {
    const directory = unpack(`whodunit-${version}.tgz`);
    const loaders = ['x64', 'arm64'].map((arch) => join(directory, `prebuilt/linux-${arch}/whodunit-loader`));
    const components = componentsOf('npm');
    expect(ofKind(components, 'npm').sort()).toEqual((await bundled()).sort());
    expect(ofKind(components, 'golang').sort()).toEqual([...new Set(loaders.flatMap(modulesOf))].sort());
    const text = readFileSync(join(directory, 'prebuilt/THIRD-PARTY-NOTICES'), 'utf8');
    for (const part of ['zod', 'github.com/cilium/ebpf']) expect(text).toMatch(new RegExp(`\n${part} v?\\d`));
  });
});

describe('SHA256SUMS', () => {
  it('has each file, and is right', () => {
    const checked = run('sha256sum', ['--check', 'SHA256SUMS'], PACKAGES).trim().split('\n');
    const names = readdirSync(PACKAGES).filter((name) => name !== 'SHA256SUMS');
    expect(checked.sort()).toEqual(names.map((name) => `${name}: OK`).sort());
    expect(names).toHaveLength(10);
  });

  it('is the same after a second build: in another folder, with another umask, time zone and clock', () => {
    // In the clone, so that the date is that of its commit.
    mkdirSync(join(ROOT, 'build'), { recursive: true });
    const copy = mkdtempSync(join(ROOT, 'build/a-second-build-in-a-folder-with-a-longer-name-'));
    try {
      const files = run('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z']).split('\0');
      for (const name of files.filter(Boolean)) cpSync(join(ROOT, name), join(copy, name));
      run('cp', ['-al', join(ROOT, 'node_modules'), join(copy, 'node_modules')]);
      const script = 'umask 077; export TZ=Asia/Tokyo; exec npm run --silent package -- --arch amd64';
      run('sh', ['-c', script], copy);
      const sums = (root: string) => readFileSync(join(root, 'build/packages/SHA256SUMS'), 'utf8').trim().split('\n');
      expect(sums(copy)).toEqual(sums(ROOT).filter((line) => !/arm64|aarch64/.test(line)));
    } finally {
      rmSync(copy, { recursive: true });
    }
  });
});
