// SPDX-License-Identifier: Apache-2.0
// Loader and service for tests. Each instance has its own socket, pins and health port, so that it does not conflict with other
// instances or with the machine's whodunit.
import type { StdioOptions } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { answers, type Collector } from './collector.ts';
import {
  type Ending,
  freePorts,
  LOADER,
  NODE,
  type Program,
  SERVICE,
  SERVICE_FLAGS,
  startProgram,
  temporaryDirectory,
  until,
} from './program.ts';

const LOADER_READY_WITHIN_MS = 60_000;
const SERVICE_READY_WITHIN_MS = 60_000;
const STATUS_WITHIN_MS = 60_000;

export type Protocol = 'grpc' | 'http/protobuf' | 'http/json';

let instances = 0;

/** Returns the paths and the port of a new instance. */
export async function place() {
  const directory = temporaryDirectory();
  const [port = 0] = await freePorts(1);
  instances += 1;
  return {
    directory,
    socket: join(directory.path, 'events.sock'),
    pinDir: `/sys/fs/bpf/whodunit-test-${process.pid}-${instances}`,
    health: `127.0.0.1:${port}`,
  };
}
export type Place = Awaited<ReturnType<typeof place>>;

export function loaderArgs({ socket, pinDir }: Pick<Place, 'socket' | 'pinDir'>): string[] {
  return ['run', '--socket', socket, '--pin-dir', pinDir, '--unload-on-exit'];
}

/** `binary`: the loader of another build. */
export async function startLoader(at: Place, env: NodeJS.ProcessEnv = {}, binary = LOADER): Promise<Program> {
  const loader = startProgram(binary, loaderArgs(at), { env: { ...withoutConfiguration(process.env), ...env } });
  try {
    await until(
      'the loader is ready',
      LOADER_READY_WITHIN_MS,
      () => {
        if (!loader.alive()) throw new Error(`the loader has ended:\n${loader.output()}`);
        return /\bready\b/.test(loader.output()) || undefined;
      },
      loader.output,
    );
  } catch (error) {
    await loader.stop();
    throw error;
  }
  return loader;
}

/** `main`: the service of another build. */
export function startService(
  at: Place,
  env: NodeJS.ProcessEnv = {},
  args: readonly string[] = [],
  stdio?: StdioOptions,
  main = SERVICE,
): Program {
  return startCommand(at, ['run', ...args], env, stdio, main);
}

/** Runs another command of the service, such as `doctor`, for that instance. */
export function startCommand(
  at: Place,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  stdio: StdioOptions = ['pipe', 'pipe', 'pipe'],
  main = SERVICE,
): Program {
  return startProgram(NODE, [...SERVICE_FLAGS, main, ...args], {
    stdio,
    env: {
      ...withoutConfiguration(process.env),
      WHODUNIT_SOCKET: at.socket,
      WHODUNIT_PIN_DIR: at.pinDir,
      WHODUNIT_HEALTH_ADDR: at.health,
      WHODUNIT_STATE_DIR: join(at.directory.path, 'state'),
      WHODUNIT_REPORT: 'all',
      ...env,
    },
  });
}

/** Returns the environment that makes the service export to a collector. */
export function exportTo(collector: Pick<Collector, 'grpc' | 'http'>, protocol: Protocol): NodeJS.ProcessEnv {
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: protocol === 'grpc' ? collector.grpc : collector.http,
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    OTEL_METRIC_EXPORT_INTERVAL: '500',
    OTEL_METRIC_EXPORT_TIMEOUT: '400',
  };
}

export interface Whodunit {
  readonly at: Place;
  readonly loader: Program;
  readonly service: Program;
  /** Stops both and returns how they ended. */
  readonly stop: () => Promise<{ service: Ending; loader: Ending; pinsLeft: boolean }>;
}

/** `start`: starts another service than startService(). */
export async function startWhodunit(
  env: NodeJS.ProcessEnv,
  loaderEnv: NodeJS.ProcessEnv = {},
  loaderBinary = LOADER,
  start: (at: Place, env: NodeJS.ProcessEnv) => Program = startService,
): Promise<Whodunit> {
  const at = await place();
  const loader = await startLoader(at, loaderEnv, loaderBinary).catch((error: unknown) => {
    at.directory.remove();
    throw error;
  });
  const service = start(at, env);
  const stop = async () => {
    const serviceEnd = await service.stop();
    const loaderEnd = await loader.stop();
    at.directory.remove();
    return { service: serviceEnd, loader: loaderEnd, pinsLeft: existsSync(at.pinDir) };
  };
  try {
    await serviceReady(at, service, () => `${loader.output()}${service.output()}`);
  } catch (error) {
    await stop();
    throw error;
  }
  return { at, loader, service, stop };
}

/** Waits until /readyz answers 200. `diagnostics`: for the error message. */
export async function serviceReady({ health }: Place, service: Program, diagnostics = service.output): Promise<void> {
  await until(
    'readyz of the service',
    SERVICE_READY_WITHIN_MS,
    () => {
      if (!service.alive()) throw new Error(`the service has ended:\n${service.output()}`);
      return answers(`http://${health}/readyz`);
    },
    diagnostics,
  );
}

/** The status message of docs/wire.md. */
export interface Status {
  readonly exits_normal: string;
  readonly deaths: string;
  readonly lost: Readonly<Record<string, string>>;
  readonly requests_refused: string;
  readonly ring_used_bytes: number;
  readonly acked_seq: string;
}

/** Returns the loader's current counters, which it sends to each new client (docs/wire.md). */
export async function loaderStatus(socket: string): Promise<Status> {
  const connection = createConnection(socket);
  const timer = setTimeout(() => connection.destroy(new Error('no status received')), STATUS_WITHIN_MS);
  try {
    for await (const line of createInterface({ input: connection })) {
      const message = JSON.parse(line);
      if (message.type === 'status') return message;
    }
    throw new Error(`${socket} was closed before a status was received`);
  } finally {
    clearTimeout(timer);
    connection.destroy();
  }
}

function withoutConfiguration(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(OTEL|WHODUNIT)_/.test(name) && name !== 'TRACEPARENT'),
  );
}
