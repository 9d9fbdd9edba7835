// SPDX-License-Identifier: Apache-2.0
// `npm run demo`: starts loader and service as `npm start` does, and runs six programs that terminate. Shows each report and compares it
// with the status that the parent received from wait(2) and with the sender. Exits with 0 if all six are correct.
//
// `npm run demo -- --ui` also shows the page of `whodunit ui`, live, with these and a small story; Ctrl-C ends it.
//
// The service prints JSON here. The demo formats the six records as the service does on a terminal, and omits other terminations.
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { renderer } from '../../src/io/console.ts';
import { Children, type Running, stopRequested } from '../../src/io/up/children.ts';
import { superviseLoader, superviseService } from '../../src/io/up/parts.ts';
import { command, Failure, readFlags } from '../base/command.ts';
import { showPage } from '../base/page.ts';
import { againAsRoot, BEHIND_SUDO, isRoot, serviceUser } from '../base/privileges.ts';
import { build, buildMortal } from '../build/programs.ts';
import { MORTAL, NODE, PROGRAMS, SERVICE } from '../paths.ts';
import { limitedCgroup } from '../stack/memory-cgroup.ts';
import { freePorts } from '../stack/program.ts';
import { tellStory } from '../stack/small-story.ts';

const MEMORY_LIMIT_BYTES = 32 * 1024 * 1024;
const VICTIM_READY_WITHIN_MS = 5_000;
/** Longer than loader and service need to start again. */
const REPORT_WITHIN_MS = 30_000;
const REPORT_POLL_MS = 5;

/** A program that terminates, and what its report must say. */
interface Demonstration {
  readonly title: string;
  /** The arguments of the example victim. */
  readonly args: readonly string[];
  /** The signal that a shell sends to it. */
  readonly signalSent?: string;
  /** It runs in a cgroup with a memory limit. */
  readonly limited?: boolean;
  readonly cause: 'fault' | 'abort' | 'killed' | 'exit' | 'oom_kill';
  readonly signal?: string;
  readonly code?: number;
}

const DEMONSTRATIONS: readonly Demonstration[] = [
  { title: 'a program writes to an address that is not mapped', args: ['segfault'], cause: 'fault', signal: 'SIGSEGV' },
  { title: 'a program aborts', args: ['abort'], cause: 'abort', signal: 'SIGABRT' },
  { title: 'another process sends SIGKILL', args: ['wait'], signalSent: 'KILL', cause: 'killed', signal: 'SIGKILL' },
  { title: 'another process sends SIGTERM', args: ['wait'], signalSent: 'TERM', cause: 'killed', signal: 'SIGTERM' },
  { title: 'a program exits with code 3', args: ['exit', '3'], cause: 'exit', code: 3 },
  {
    title: 'a program exceeds the memory limit of its cgroup',
    args: ['eat-memory'],
    limited: true,
    cause: 'oom_kill',
    signal: 'SIGKILL',
  },
];

const SENDER_KINDS: Readonly<Partial<Record<Demonstration['cause'], string>>> = {
  fault: 'kernel',
  abort: 'self',
  killed: 'process',
  oom_kill: 'kernel',
};

/** The facts, from wait(2) and from the sender. */
interface Truth {
  readonly pid: number;
  readonly sender: number | undefined;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

type Attributes = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** A line of the service's JSON output. */
interface JsonRecord {
  readonly timestamp_ns: string;
  readonly event_name: string;
  readonly severity_text: string;
  readonly body: string;
  readonly attributes: Attributes;
  readonly resource: { readonly attributes: Attributes };
}

/** Run at the end, in reverse order. */
type CleanUp = (() => unknown)[];

/** `page`: show it. */
async function demo(children: Children, cleanUp: CleanUp, page: boolean): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'whodunit-demo-'));
  cleanUp.push(() => rmSync(directory, { recursive: true, force: true }));
  chmodSync(directory, 0o755); // the socket in it is protected by its mode
  const reports = new Reports();
  const health = page ? `127.0.0.1:${(await freePorts(1))[0]}` : 'off';
  const { failed } = await startInto(children, directory, health, reports);
  if (page) await showPage(children, join(directory, 'state'), health);
  const cgroup = limitedCgroup(`whodunit-demo-${process.pid}`, MEMORY_LIMIT_BYTES);
  cleanUp.push(cgroup.remove);

  let wrong = 0;
  const render = renderer('report', process.stdout, process.env);
  console.log('');
  for (const [index, demonstration] of DEMONSTRATIONS.entries()) {
    console.log(`── ${index + 1} of ${DEMONSTRATIONS.length}: ${demonstration.title}\n`);
    const truth = await terminate(demonstration, cgroup.directory, cleanUp);
    const record = await Promise.race([reports.of(truth.pid), failed.then(() => undefined)]);
    if (record !== undefined) process.stdout.write(render(readable(record)));
    const differences =
      record === undefined ? [`no report within ${REPORT_WITHIN_MS / 1000} s`] : compare(demonstration, truth, record);
    for (const difference of differences) console.log(`WRONG: ${difference}`);
    if (differences.length > 0) wrong += 1;
  }
  const right = DEMONSTRATIONS.length - wrong;
  if (wrong > 0) throw new Failure(`${right} of ${DEMONSTRATIONS.length} reports were right.`);
  console.log(`All ${right} reports were right: cause, code and sender agree with wait(2) and with the senders.`);
  if (page) await tellStory();
}

/** Starts loader and service with socket and queue in the directory. Returns, once they are ready, what rejects if one of them fails for good. */
async function startInto(
  children: Children,
  directory: string,
  health: string,
  reports: Reports,
): Promise<{ readonly failed: Promise<void> }> {
  const socket = join(directory, 'events.sock');
  const stateDir = join(directory, 'state');
  const user = serviceUser([NODE, SERVICE]);
  mkdirSync(stateDir, { mode: 0o700 });
  chownSync(stateDir, user.uid, user.gid);
  const pinDir = `/sys/fs/bpf/whodunit-demo-${process.pid}`;
  const loader = await superviseLoader(children, PROGRAMS, { socket, pinDir, user, unloadOnExit: true });
  const service = await superviseService(children, PROGRAMS, {
    args: ['--output', 'json'],
    user,
    socket,
    env: {
      ...withoutExporters(),
      WHODUNIT_STATE_DIR: stateDir,
      WHODUNIT_HEALTH_ADDR: health,
      WHODUNIT_REPORT: 'all',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
    onStart: (running) => reports.readFrom(running),
  });
  return { failed: Promise.race([loader.over, service.over]) };
}

/** Ignores collectors configured in the environment: the demo prints to the terminal only. An empty variable counts as unset. */
function withoutExporters(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter((name) => name.startsWith('OTEL_'));
  return Object.fromEntries(names.map((name) => [name, '']));
}

/** Runs the victim until it terminates. */
async function terminate(
  { args: victimArgs, signalSent, limited }: Demonstration,
  cgroup: string,
  cleanUp: CleanUp,
): Promise<Truth> {
  const args = limited ? ['in-cgroup', cgroup, ...victimArgs] : victimArgs;
  const victim = spawn(MORTAL, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  cleanUp.push(() => victim.kill('SIGKILL')); // has an effect only if the demo is interrupted
  const ended = new Promise<Pick<Truth, 'code' | 'signal'>>((resolve) =>
    victim.on('exit', (code, signal) => resolve({ code, signal })),
  );
  const { pid } = victim;
  if (pid === undefined) throw new Failure(`${MORTAL} cannot be started.`);
  let sender: number | undefined;
  if (signalSent !== undefined) {
    const late = sleep(VICTIM_READY_WITHIN_MS, 'late', { ref: false });
    const ready = new Promise((resolve) => victim.stdout.once('data', resolve));
    if ((await Promise.race([ready, late])) === 'late')
      throw new Failure(`${[MORTAL, ...args].join(' ')} was not ready within ${VICTIM_READY_WITHIN_MS / 1000} s.`);
    sender = spawn('/bin/sh', ['-c', `kill -${signalSent} ${pid}`], { stdio: 'inherit' }).pid;
  }
  return { pid, sender, ...(await ended) };
}

function compare({ cause, signal, code }: Demonstration, truth: Truth, { attributes, resource }: JsonRecord): string[] {
  const wanted = [
    ['status of wait(2)', truth.signal ?? truth.code, signal ?? code],
    ['process.executable.path', resource.attributes['process.executable.path'], MORTAL],
    ['whodunit.cause', attributes['whodunit.cause'], cause],
    ['process.exit.code', attributes['process.exit.code'], truth.code ?? undefined],
    ['whodunit.signal.name', attributes['whodunit.signal.name'], truth.signal ?? undefined],
    ['whodunit.sender.kind', attributes['whodunit.sender.kind'], SENDER_KINDS[cause]],
    ['whodunit.sender.pid', attributes['whodunit.sender.pid'], truth.sender],
  ];
  return wanted
    .filter(([, reported, right]) => reported !== right)
    .map(([name, reported, right]) => `${name} is ${reported}; it should be ${right}`);
}

/** The service's termination records, by pid. The demo is too short for a pid to be reused. */
class Reports {
  readonly #records = new Map<unknown, JsonRecord>();

  /** Reads the records of this instance of the service. */
  readFrom({ child: { stdout } }: Running): void {
    if (stdout === null) throw new Error('the standard output of the service is not a pipe');
    createInterface({ input: stdout }).on('line', (line) => {
      const record = whole(line);
      if (record?.event_name !== 'whodunit.process.termination') return;
      this.#records.set(record.resource.attributes['process.pid'], record);
    });
  }

  async of(pid: number): Promise<JsonRecord | undefined> {
    const end = Date.now() + REPORT_WITHIN_MS;
    while (!this.#records.has(pid) && Date.now() < end) await sleep(REPORT_POLL_MS);
    return this.#records.get(pid);
  }
}

/** null: the service was killed while it wrote the line. The next one prints the record again. */
function whole(line: string): JsonRecord | null {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
}

/** Converts a line of JSON output to the type that renderers accept. */
function readable(record: JsonRecord): ReadableLogRecord {
  const ns = BigInt(record.timestamp_ns);
  return {
    hrTime: [Number(ns / 1_000_000_000n), Number(ns % 1_000_000_000n)],
    eventName: record.event_name,
    severityText: record.severity_text,
    body: record.body,
    attributes: record.attributes,
    resource: record.resource,
  } as unknown as ReadableLogRecord;
}

await command(async () => {
  const { ui = false, 'behind-sudo': behindSudo = false } = readFlags({
    ui: { type: 'boolean' },
    'behind-sudo': { type: 'boolean' },
  });
  if (!behindSudo) {
    await build();
    await buildMortal();
  }
  if (!isRoot()) return againAsRoot(import.meta.filename, [BEHIND_SUDO, ...(ui ? ['--ui'] : [])]);

  let reported = false;
  const stop = stopRequested({ endOfInput: behindSudo }).then(() => {
    if (!reported) throw new Failure('The demo was interrupted.');
  });
  const cleanUp: CleanUp = [];
  const children = new Children();
  try {
    await Promise.race([demo(children, cleanUp, ui), stop]);
    reported = true;
    if (ui) {
      console.log('\nThe page stays until Ctrl-C.');
      await stop;
    }
    return 0;
  } finally {
    await children.stopAll();
    for (const clean of cleanUp.reverse()) await clean();
  }
});
