// SPDX-License-Identifier: Apache-2.0
// Builds the programs that test/crashes crashes: C by several compilers, libraries and options, C++, Rust, Go and Java. A stripped program has its
// symbols beside it, with the suffix `.symbols`.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { requirePrograms } from '../base/debian.ts';
import { run, step } from '../base/run.ts';
import { CRASHES, ROOT } from '../paths.ts';
import { CLANG, requireCompiler } from './clang.ts';

/** Program → Debian package. */
const PACKAGE_OF = {
  gcc: 'gcc',
  'g++': 'g++',
  rustc: 'rustc',
  objcopy: 'binutils',
  xz: 'xz-utils',
  'musl-gcc': 'musl-tools',
  java: 'default-jdk-headless',
  javac: 'default-jdk-headless',
};
/** Version managers install a script as python3. */
const PACKAGES = ['python3'];
const PROGRAMS = join(ROOT, 'test/crashes/programs');
const UNWINDER = join(ROOT, 'loader/internal/unwind');
/** Also crashed by the tests of the unwinder. */
const CHAIN = join(UNWINDER, 'testdata/crashes.c');
const FAULTS = join(PROGRAMS, 'faults.c');
const PLAIN = ['-w', '-pthread', '-fno-stack-protector'];
const WITHOUT_TABLES = ['-fno-asynchronous-unwind-tables', '-fno-unwind-tables'];
const HARDENED = ['-w', '-pthread', '-fstack-protector-strong', '-D_FORTIFY_SOURCE=2'];

/** Stripped: output, compiler, arguments. */
const STRIPPED: readonly (readonly [output: string, compiler: string, ...args: string[]])[] = [
  ['c', 'gcc', '-O2', '-fomit-frame-pointer', ...PLAIN, CHAIN],
  ['c-static', 'gcc', '-O2', '-static', '-fomit-frame-pointer', ...PLAIN, CHAIN],
  ['c-static-pie', 'gcc', '-O2', '-static-pie', ...PLAIN, CHAIN],
  ['c-unoptimized', 'gcc', '-O0', ...PLAIN, CHAIN],
  ['c-fixed', 'gcc', '-O3', '-no-pie', ...PLAIN, CHAIN],
  ['c-clang', CLANG, '-O2', ...PLAIN, CHAIN],
  ['c-debugdata', 'gcc', '-O2', ...PLAIN, CHAIN],
  ['faults-static', 'gcc', '-O2', '-static', ...HARDENED, FAULTS],
];
const NAMED: typeof STRIPPED = [
  ['musl', 'musl-gcc', '-O2', ...PLAIN, CHAIN],
  ['musl-static', 'musl-gcc', '-O2', '-static', ...PLAIN, CHAIN],
  ['faults', 'gcc', '-O2', ...HARDENED, FAULTS],
  ['libcrashes.so', 'gcc', '-O2', '-w', '-shared', '-fPIC', join(PROGRAMS, 'library.c')],
  ['c-without-tables', 'gcc', '-O2', '-fomit-frame-pointer', ...WITHOUT_TABLES, ...PLAIN, CHAIN],
  ['c-frame-pointers', 'gcc', '-O2', '-fno-omit-frame-pointer', ...WITHOUT_TABLES, ...PLAIN, CHAIN],
  ['classes', 'g++', '-O2', '-w', '-pthread', join(PROGRAMS, 'classes.cc')],
  ['throws', 'g++', '-O2', '-w', '-pthread', join(UNWINDER, 'testdata/throws.cc')],
  ...(process.arch === 'x64'
    ? [['assembly', 'gcc', '-O2', join(PROGRAMS, 'assembly.c'), join(PROGRAMS, 'assembly.s')] as const]
    : []),
  ['panics', 'rustc', '-O', '-C', 'panic=abort', join(UNWINDER, 'testdata/panics.rs')],
];
const GO_FLAGS = ['-trimpath', '-ldflags=-s -w'];
const GO: readonly (readonly [output: string, env: NodeJS.ProcessEnv])[] = [
  ['go', { CGO_ENABLED: '0' }],
  ...(process.arch === 'x64' ? [['go-32', { CGO_ENABLED: '0', GOARCH: '386' }] as const] : []),
];

async function compileStripped([output, compiler, ...args]: (typeof STRIPPED)[number]): Promise<void> {
  const stripped = join(CRASHES, output);
  await run(compiler, [...args, '-o', `${stripped}.symbols`]);
  await run('strip', ['-o', stripped, `${stripped}.symbols`]);
}

/** As Fedora packages programs: the names of the functions are in a compressed section. */
async function addDebugData(program: string): Promise<void> {
  const path = join(CRASHES, program);
  const names = `${path}.names`;
  await run('objcopy', ['--only-keep-debug', '--remove-section', '.comment', `${path}.symbols`, names]);
  rmSync(`${names}.xz`, { force: true });
  await run('xz', ['--keep', names]);
  await run('objcopy', ['--add-section', `.gnu_debugdata=${names}.xz`, path]);
}

/** Installs the compilers, and builds the programs. */
export async function buildCrashVictims(): Promise<void> {
  await requirePrograms(PACKAGE_OF, PACKAGES, 'test/crashes, which crashes real programs,');
  await requireCompiler();
  mkdirSync(CRASHES, { recursive: true });
  await step('building the programs that crash', async () => {
    await Promise.all([
      ...STRIPPED.map(compileStripped),
      ...NAMED.map(([output, compiler, ...args]) => run(compiler, [...args, '-o', join(CRASHES, output)])),
      run('javac', ['-nowarn', '-XDignore.symbol.file', '-d', CRASHES, join(PROGRAMS, 'Crashes.java')]),
    ]);
    for (const [output, env] of GO)
      await run(
        'go',
        ['build', ...GO_FLAGS, '-o', join(CRASHES, output), './loader/internal/unwind/testdata/gocrash'],
        { env },
      );
    await addDebugData('c-debugdata');
  });
}
