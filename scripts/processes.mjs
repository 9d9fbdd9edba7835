// Starts programs that run until they are told to stop, and stops them in order: nothing is left behind.
//
// SPDX-License-Identifier: Apache-2.0

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { WITHOUT_CAPABILITIES } from './privileges.mjs';
import { Failure, LOADER, NODE, ROOT, SERVICE, SERVICE_FLAGS } from './steps.mjs';

const READY_WITHIN_MS = 30_000;
const READY_POLL_MS = 100;
const STOP_WITHIN_MS = 10_000;

/** Those that were started, in order. Once it is `stopping`, no other one is. */
const started = [];
let stopping = false;

/**
 * Starts one. It gets a session of its own, so that Ctrl-C reaches this process alone, which then stops the others in order.
 * `running.ended` gives `{code, signal}` when it has; it never rejects.
 */
export function startProgram(name, program, args, options = {}) {
  if (stopping) throw new Failure(`${name} is not started any more.`);
  const child = spawn(program, args, { cwd: ROOT, detached: true, ...options });
  const running = { name, child, alive: true, ended: undefined };
  running.ended = new Promise((resolve) => {
    const end = (how) => {
      running.alive = false;
      resolve(how);
    };
    child.on('error', (error) => end({ code: null, signal: null, why: error.message }));
    child.on('exit', (code, signal) => end({ code, signal, why: signal === null ? `code ${code}` : signal }));
  });
  started.push(running);
  return running;
}

/** Stops all, the last started first, and gives how each ended: `[{name, why}]`. What goes on starting others fails. */
export async function stopAll() {
  stopping = true;
  const ends = [];
  for (const running of [...started].reverse()) ends.push({ name: running.name, ...(await stop(running)) });
  return ends;
}

/** SIGTERM, and SIGKILL if that does not help in time. Gives how it ended. */
async function stop(running) {
  if (running.alive) running.child.kill('SIGTERM');
  const timer = setTimeout(() => running.child.kill('SIGKILL'), STOP_WITHIN_MS);
  const how = await running.ended;
  clearTimeout(timer);
  return how;
}

/** Runs a script of the project to its end, or until this process is asked to stop. Gives its exit code. */
export async function runScript(name, args, { inputToo }) {
  const script = startProgram(name, NODE, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  await Promise.race([script.ended, stopAsked({ inputToo })]);
  const [{ code }] = await stopAll();
  return code ?? 1;
}

/** Starts the loader, shows what it says, and waits until it serves the socket. */
export async function startLoader({ socket, pinDir, socketGroup }) {
  const args = ['run', '--socket', socket, '--pin-dir', pinDir, '--unload-on-exit'];
  args.push('--socket-group', String(socketGroup));
  const loader = startProgram('the loader', LOADER, args, { stdio: ['ignore', 'inherit', 'pipe'] });
  const ready = new Promise((resolve) => {
    createInterface({ input: loader.child.stderr }).on('line', (line) => {
      if (/\bready\b/.test(line)) resolve('ready');
      else console.error(line);
    });
  });
  const timeout = new Promise((resolve) => setTimeout(resolve, READY_WITHIN_MS, 'late').unref());
  const first = await Promise.race([ready, timeout, loader.ended]);
  if (first === 'ready') return loader;
  await stop(loader);
  const why = first === 'late' ? `was not ready after ${READY_WITHIN_MS / 1000} s` : `ended with ${first.why}`;
  throw new Failure(`The loader ${why}. \`${LOADER} check\` says what this machine lacks.`);
}

/** Starts the service, as `user` of privileges.mjs. */
export function startService({ args, env, user: { uid, gid }, stdio }) {
  const [program, ...before] = uid === 0 ? [...WITHOUT_CAPABILITIES, NODE] : [NODE];
  return startProgram('the service', program, [...before, ...SERVICE_FLAGS, SERVICE, 'run', ...args], {
    stdio: stdio ?? ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
    uid,
    gid,
  });
}

/** Waits until /readyz answers 200. */
export async function awaitReady(service, healthAddress) {
  const end = Date.now() + READY_WITHIN_MS;
  let last = 'no answer';
  while (Date.now() < end && service.alive) {
    try {
      const response = await fetch(`http://${healthAddress}/readyz`);
      if (response.status === 200) return;
      last = `${response.status}: ${(await response.text()).trim()}`;
    } catch (error) {
      last = error.cause?.message ?? error.message;
    }
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
  if (!service.alive) throw new Failure(`The service ended with ${(await service.ended).why}.`);
  throw new Failure(`http://${healthAddress}/readyz did not answer 200 within ${READY_WITHIN_MS / 1000} s (${last}).`);
}

/** Resolves when this process is asked to stop: by a signal, or by the end of its input if `inputToo`. */
export function stopAsked({ inputToo }) {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => resolve(signal));
    if (!inputToo) return;
    process.stdin.on('end', () => resolve('end of input')).resume();
    process.stdin.unref(); // waiting for it alone keeps nobody alive
  });
}
