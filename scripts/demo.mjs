// `npm run demo`: loader and service as `npm start` runs them, and six programs that die. Each report is shown as it comes and
// held against what the parent was told by wait(2) and against who did the killing. Ends with 0 if all six are right.
//
// The service prints JSON here; what is shown is made of it by the service's own renderText. So others that die on this
// machine meanwhile are neither shown nor in the way.
//
// SPDX-License-Identifier: Apache-2.0

import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { limitedCgroup } from './memory-cgroup.mjs';
import { againAsRoot, BEHIND_SUDO, isRoot, serviceUser } from './privileges.mjs';
import { awaitReady, startLoader, startService, stopAll, stopAsked } from './processes.mjs';
import { buildMortal, command, Failure, installAndBuild, MORTAL, NODE, ROOT, SERVICE } from './steps.mjs';

const MEMORY_LIMIT_BYTES = 32 * 1024 * 1024;
const VICTIM_READY_WITHIN_MS = 5_000;
const REPORT_WITHIN_MS = 5_000;

/** What dies, and what its report must say. `by`: the signal that a shell sends. */
const DEATHS = [
  { title: 'a program writes to an address that is not mapped', way: ['segfault'], cause: 'fault', signal: 'SIGSEGV' },
  { title: 'a program aborts', way: ['abort'], cause: 'abort', signal: 'SIGABRT' },
  { title: 'another process sends SIGKILL', way: ['wait'], by: 'KILL', cause: 'killed', signal: 'SIGKILL' },
  { title: 'another process sends SIGTERM', way: ['wait'], by: 'TERM', cause: 'killed', signal: 'SIGTERM' },
  { title: 'a program exits with code 3', way: ['exit', '3'], cause: 'exit', code: 3 },
  {
    title: 'a program needs more memory than its cgroup may have',
    way: ['eat-memory'],
    limited: true,
    cause: 'oom_kill',
    signal: 'SIGKILL',
  },
];

await command(async () => {
  const behindSudo = process.argv[2] === BEHIND_SUDO;
  if (!behindSudo) {
    await installAndBuild();
    await buildMortal();
  }
  if (!isRoot()) return againAsRoot(fileURLToPath(import.meta.url), [BEHIND_SUDO]);

  const asked = stopAsked({ inputToo: behindSudo }).then(() => {
    throw new Failure('The demo was interrupted.');
  });
  const cleanUp = [];
  try {
    return await Promise.race([demo(cleanUp), asked]);
  } finally {
    await stopAll();
    for (const clean of cleanUp.reverse()) await clean();
  }
});

async function demo(cleanUp) {
  const directory = mkdtempSync(join(tmpdir(), 'whodunit-demo-'));
  cleanUp.push(() => rmSync(directory, { recursive: true, force: true }));
  chmodSync(directory, 0o755); // the socket in it is guarded by its own mode
  const socket = join(directory, 'events.sock');
  const health = `127.0.0.1:${await freePort()}`;
  const user = serviceUser([NODE, SERVICE]);
  const stateDir = join(directory, 'state');
  mkdirSync(stateDir, { mode: 0o700 });
  chownSync(stateDir, user.uid, user.gid);

  await startLoader({
    socket,
    pinDir: `/sys/fs/bpf/whodunit-demo-${process.pid}`,
    socketGroup: user.gid,
  });
  const service = startService({
    args: ['--output', 'json'],
    user,
    env: {
      ...withoutExporters(),
      WHODUNIT_SOCKET: socket,
      WHODUNIT_STATE_DIR: stateDir,
      WHODUNIT_HEALTH_ADDR: health,
      WHODUNIT_REPORT: 'all',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const records = collect(service);
  await awaitReady(service, health);
  const cgroup = limitedCgroup(`whodunit-demo-${process.pid}`, MEMORY_LIMIT_BYTES);
  cleanUp.push(cgroup.remove);

  // Built by now, and made of the record alone.
  const { renderText, wantsColour } = await import(join(ROOT, 'dist/io/console.js'));
  let wrong = 0;
  console.log('');
  for (const [index, death] of DEATHS.entries()) {
    console.log(`── ${index + 1} of ${DEATHS.length}: ${death.title}\n`);
    const truth = await letDie(death, cgroup.directory, cleanUp);
    const record = await records.of(truth.pid);
    if (record !== undefined)
      process.stdout.write(renderText(asRendered(record), wantsColour(process.stdout, process.env)));
    const differences =
      record === undefined ? [`no report came within ${REPORT_WITHIN_MS / 1000} s`] : compare(death, truth, record);
    for (const difference of differences) console.log(`WRONG: ${difference}`);
    if (differences.length > 0) wrong += 1;
    await sleep(0);
  }
  const right = DEATHS.length - wrong;
  if (wrong > 0) throw new Failure(`${right} of ${DEATHS.length} reports were right.`);
  console.log(`All ${right} reports were right: cause, code and sender are what wait(2) and the killers said.`);
  return 0;
}

/** Lets it happen; gives the pid, how wait(2) said it ended, and who killed it. */
async function letDie({ way, by, limited }, cgroup, cleanUp) {
  const args = limited ? ['in-cgroup', cgroup, ...way] : way;
  const victim = spawn(MORTAL, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  cleanUp.push(() => victim.kill('SIGKILL')); // no more than a formality, unless somebody interrupts
  const ended = new Promise((resolve) => victim.on('exit', (code, signal) => resolve({ code, signal })));
  let sender;
  if (by !== undefined) {
    const late = sleep(VICTIM_READY_WITHIN_MS, 'late', { ref: false });
    const ready = new Promise((resolve) => victim.stdout.once('data', resolve));
    if ((await Promise.race([ready, late])) === 'late')
      throw new Failure(`The program to be killed was not ready: ${MORTAL} ${args}`);
    const killer = spawn('/bin/sh', ['-c', `kill -${by} ${victim.pid}`], { stdio: 'inherit' });
    sender = killer.pid;
  }
  return { pid: victim.pid, sender, ...(await ended) };
}

function compare(death, truth, { attributes, resource }) {
  const senderKind = { fault: 'kernel', abort: 'self', killed: 'process', oom_kill: 'kernel' }[death.cause];
  const wanted = [
    ['it ended with', truth.signal ?? truth.code, death.signal ?? death.code],
    ['process.executable.path', resource.attributes['process.executable.path'], MORTAL],
    ['whodunit.cause', attributes['whodunit.cause'], death.cause],
    ['process.exit.code', attributes['process.exit.code'], truth.code ?? undefined],
    ['whodunit.signal.name', attributes['whodunit.signal.name'], truth.signal ?? undefined],
    ['whodunit.sender.kind', attributes['whodunit.sender.kind'], senderKind],
    ['whodunit.sender.pid', attributes['whodunit.sender.pid'], truth.sender],
  ];
  return wanted
    .filter(([, said, right]) => said !== right)
    .map(([name, said, right]) => `${name}: ${said}, and not ${right}`);
}

/** Keeps the JSON records of the service by pid. None of these pids comes twice in so short a time. */
function collect(service) {
  const records = new Map();
  createInterface({ input: service.child.stdout }).on('line', (line) => {
    const record = JSON.parse(line);
    if (record.event_name !== 'whodunit.process.termination') return;
    records.set(record.resource.attributes['process.pid'], record);
  });
  return {
    async of(pid) {
      const end = Date.now() + REPORT_WITHIN_MS;
      while (!records.has(pid) && Date.now() < end && service.alive) await sleep(5);
      return records.get(pid);
    },
  };
}

/** The record in the shape that renderText takes. */
function asRendered(record) {
  const ns = BigInt(record.timestamp_ns);
  return {
    hrTime: [Number(ns / 1_000_000_000n), Number(ns % 1_000_000_000n)],
    severityText: record.severity_text,
    body: record.body,
    attributes: record.attributes,
    resource: record.resource,
  };
}

/** The demo is for the terminal: a collector that the environment names is left out. An empty variable counts as unset. */
function withoutExporters() {
  return Object.fromEntries(
    Object.keys(process.env)
      .filter((name) => name.startsWith('OTEL_'))
      .map((name) => [name, '']),
  );
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
