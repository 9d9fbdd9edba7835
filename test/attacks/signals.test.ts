// SPDX-License-Identifier: Apache-2.0
// Signals whose default action terminates, and rules files that are broken when SIGHUP reloads them.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { answers } from '../../scripts/stack/collector.ts';
import { MORTAL, type Program, startProgram, until } from '../../scripts/stack/program.ts';
import { place, startLoader, startService } from '../../scripts/stack/whodunit.ts';

const WITHIN_MS = 120_000;
/** Where Node.js opens its debugger on SIGUSR1. */
const DEBUGGER = 'http://127.0.0.1:9229/json';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

async function started(rules?: string) {
  const at = await place();
  const loader = await startLoader(at);
  cleanUp.push(at.directory.remove, loader.stop);
  const file = join(at.directory.path, 'rules.yaml');
  if (rules !== undefined) writeFileSync(file, rules);
  const service = startService(at, rules === undefined ? {} : { WHODUNIT_CONFIG: file });
  cleanUp.push(service.stop);
  return { at, loader, service, file };
}

const says = (program: Program, text: string) =>
  until(text, WITHIN_MS, () => program.output().includes(text) || undefined, program.output);

/** Whether the process has a handler for the signal. */
function handles(pid: number, signal: number): boolean {
  const caught = /SigCgt:\s+([0-9a-f]+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  return (BigInt(`0x${caught}`) & (1n << BigInt(signal - 1))) !== 0n;
}

/** Terminates a process, and waits for its record. */
async function reports(service: Program): Promise<void> {
  const death = startProgram(MORTAL, ['exit', '7']);
  await death.ended;
  await says(service, `(pid ${death.pid})`);
}

describe('SIGHUP', () => {
  it('without a rules file reloads nothing, also before the service is ready, and says so', async () => {
    const { at, service } = await started();
    // Node.js itself needs a moment until the first line of the service runs.
    await until('the handler', WITHIN_MS, () => handles(service.pid, 1) || undefined, service.output);
    service.child.kill('SIGHUP');
    await says(service, 'SIGHUP reloads nothing: there is no rules file');
    await until('readyz', WITHIN_MS, () => answers(`http://${at.health}/readyz`), service.output);
    service.child.kill('SIGHUP');
    await reports(service);
  });

  it('with a broken rules file keeps the previous rules, and says so', async () => {
    const { at, service, file } = await started('rules: []\n');
    await until('readyz', WITHIN_MS, () => answers(`http://${at.health}/readyz`), service.output);
    for (const broken of ['rules: [*nowhere]\n', '['.repeat(20_000), 'rules: 7\n', '\u0000\u0001']) {
      writeFileSync(file, broken);
      const before = service.output().split('The previous rules still apply').length;
      service.child.kill('SIGHUP');
      const said = () => service.output().split('The previous rules still apply').length > before || undefined;
      await until('the message', WITHIN_MS, said, service.output);
    }
    await reports(service);
  });

  it('to the loader is ignored, and logged', async () => {
    const { at, loader, service } = await started();
    await until('readyz', WITHIN_MS, () => answers(`http://${at.health}/readyz`), service.output);
    loader.child.kill('SIGHUP');
    await says(loader, 'SIGHUP is ignored');
    await reports(service);
  });
});

it('SIGUSR1 and SIGUSR2 are ignored, and open no debugger', async () => {
  const { at, service } = await started();
  await until('readyz', WITHIN_MS, () => answers(`http://${at.health}/readyz`), service.output);
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) {
    service.child.kill(signal);
    await says(service, `${signal} is ignored`);
  }
  await sleep(500);
  expect(await answers(DEBUGGER)).toBeUndefined();
  await reports(service);
});
