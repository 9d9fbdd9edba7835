// SPDX-License-Identifier: Apache-2.0
// What happens on a node when its pod is replaced, evicted or removed for good. The containers of the manifests run as processes, with
// their commands, variables and capabilities, and end in the order in which kubelet ends them. No cluster runs.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { answers, type Collector, startCollector } from '../../scripts/stack/collector.ts';
import { LOADER, MORTAL, type Program, ROOT, startProgram, until } from '../../scripts/stack/program.ts';
import { exportTo, loaderStatus, type Place, place, startService } from '../../scripts/stack/whodunit.ts';

const READY_WITHIN_MS = 60_000;
const ARRIVES_WITHIN_MS = 120_000;
/** Between two terminations. */
const PAUSE_MS = 40;
const STEADY_MS = 1_500;

interface Container {
  readonly name: string;
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly securityContext: { readonly runAsGroup: number; readonly capabilities: { readonly add: readonly string[] } };
}

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

/** The loader's container of a manifest. */
function loaderOf(manifest: string): Container {
  const all = parseAllDocuments(readFileSync(join(ROOT, 'examples/kubernetes', manifest), 'utf8'));
  const workload = all.map((one) => one.toJS()).find(({ kind }) => kind === 'DaemonSet');
  return workload.spec.template.spec.initContainers.find(({ name }: Container) => name === 'loader');
}

/** Starts the container's program as the manifest says, with the socket and the pins of this place. */
function startContainer({ args = ['run'], env = [], securityContext }: Container, at: Place): Program {
  const { runAsGroup, capabilities } = securityContext;
  const bounding = ['-all', ...capabilities.add.map((name) => `+${name.toLowerCase()}`)].join(',');
  const confined = [`--regid=${runAsGroup}`, '--clear-groups', `--bounding-set=${bounding}`, '--inh-caps=-all'];
  return startProgram('setpriv', [...confined, '--no-new-privs', '--', LOADER, ...args], {
    env: {
      ...Object.fromEntries(env.map(({ name, value }) => [name, value])),
      WHODUNIT_SOCKET: at.socket,
      WHODUNIT_PIN_DIR: at.pinDir,
    },
  });
}

interface Pod {
  readonly loader: Program;
  readonly service: Program;
}

/** Starts a pod: the restartable init container, then the service. */
async function startPod(at: Place, collector: Collector): Promise<Pod> {
  const loader = startContainer(loaderOf('daemonset.yaml'), at);
  cleanUp.push(loader.stop);
  const ready = () => {
    if (!loader.alive()) throw new Error(`the loader has ended:\n${loader.output()}`);
    return /\bready\b/.test(loader.output()) || undefined;
  };
  await until('the loader is ready', READY_WITHIN_MS, ready, loader.output);
  const env = { ...exportTo(collector, 'http/protobuf'), WHODUNIT_RECORDS_PER_MINUTE: 'off' };
  const service = startService(at, env);
  cleanUp.push(service.stop);
  await until('the service is ready', READY_WITHIN_MS, () => answers(`http://${at.health}/readyz`), service.output);
  return { loader, service };
}

/** Ends a pod like kubelet: the containers, then the restartable init containers. */
async function endPod({ loader, service }: Pod, signal: NodeJS.Signals): Promise<void> {
  for (const container of [service, loader]) {
    container.child.kill(signal);
    await container.ended;
  }
}

/** Lets a process segfault every PAUSE_MS until it is stopped. Returns their pids. */
function startLoad(): { stop: () => Promise<readonly number[]> } {
  const pids: number[] = [];
  let stopped = false;
  const loop = async () => {
    while (!stopped) {
      const victim = startProgram(MORTAL, ['segfault'], { stdio: 'ignore' });
      expect(await victim.ended).toMatchObject({ signal: 'SIGSEGV' });
      pids.push(victim.pid);
      await sleep(PAUSE_MS);
    }
    return pids;
  };
  const running = loop();
  return {
    stop: () => {
      stopped = true;
      return running;
    },
  };
}

it('a rollout, a restart and an eviction under load lose nothing, and a removal leaves no probe', async () => {
  const at = await place();
  cleanUp.push(at.directory.remove, () => spawnSync(LOADER, ['unload', '--pin-dir', at.pinDir]));
  const collector = await startCollector();
  cleanUp.push(collector.stop);
  let pod = await startPod(at, collector);
  const load = startLoad();
  await sleep(STEADY_MS);
  for (const signal of ['SIGTERM', 'SIGKILL', 'SIGTERM'] as const) {
    await endPod(pod, signal);
    expect(existsSync(at.pinDir)).toBe(true);
    await sleep(STEADY_MS); // until the next pod is scheduled
    pod = await startPod(at, collector);
    expect(pod.loader.output()).toMatch(/took over the probes/);
  }
  const pids = await load.stop();
  // A batch that was on its way when the service was killed is sent again, with the same ids.
  const reported = () => {
    const crashes = collector
      .logs()
      .filter(
        (one) => one.attributes['error.type'] === 'SIGSEGV' && pids.includes(Number(one.resource['process.pid'])),
      );
    return new Map(crashes.map(({ attributes, resource }) => [attributes['log.record.uid'], resource['process.pid']]));
  };
  await until('all records', ARRIVES_WITHIN_MS, () => reported().size >= pids.length || undefined, pod.service.output);
  expect([...reported().values()].toSorted()).toEqual([...pids].toSorted());
  const { lost } = await loaderStatus(at.socket);
  expect(Object.values(lost).filter((count) => BigInt(count) !== 0n)).toEqual([]);

  await endPod(pod, 'SIGTERM');
  const removal = startContainer(loaderOf('unload.yaml'), at);
  expect(await removal.ended, removal.output()).toEqual({ code: 0, signal: null });
  expect(existsSync(at.pinDir)).toBe(false);
  // The probes went with the pins: the next loader finds none, and its counters begin at 0.
  const next = startContainer(loaderOf('daemonset.yaml'), at);
  cleanUp.push(next.stop);
  await until('the loader is ready', READY_WITHIN_MS, () => /\bready\b/.test(next.output()) || undefined, next.output);
  expect(next.output()).toMatch(/attached the probes/);
  expect(BigInt((await loaderStatus(at.socket)).deaths)).toBeLessThan(BigInt(pids.length));
});
