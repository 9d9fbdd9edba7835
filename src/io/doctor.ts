// SPDX-License-Identifier: Apache-2.0
// `whodunit doctor`: looks at every part of the way from the kernel to the collector and says what is wrong and what to do. It
// connects as a watcher and never acknowledges, so it can be run beside the service.
import { connect, type Socket } from 'node:net';
import type { Hello, LoaderStatus } from '../core/event.ts';
import { size } from '../core/time.ts';
import { Decoder } from '../core/wire.ts';
import { missingProbe } from './health.ts';
import type { Protocol } from './otlp.ts';
import { connectError } from './socket.ts';

const ANSWER_TIMEOUT_MS = 2_000;

export interface DoctorInput {
  readonly socketPath: string;
  readonly logs: { readonly protocol: Protocol; readonly endpoint: string } | null;
  readonly metrics: { readonly protocol: Protocol; readonly endpoint: string } | null;
  readonly health: { readonly host: string; readonly port: number } | null;
}

export interface Finding {
  readonly what: string;
  readonly level: 'ok' | 'note' | 'bad';
  readonly text: string;
}

/** All findings, in the order of the way. Never throws. */
export async function examine(input: DoctorInput): Promise<Finding[]> {
  const findings: Finding[] = [{ what: 'node', level: 'ok', text: `${process.version} on ${process.arch}` }];
  const loader = await peek(input.socketPath);
  if (loader.error !== null) findings.push({ what: 'socket', level: 'bad', text: loader.error });
  else findings.push({ what: 'socket', level: 'ok', text: input.socketPath });
  if (loader.hello !== null) findings.push(...helloFindings(loader.hello));
  if (loader.status !== null) findings.push(...statusFindings(loader.status));
  findings.push(...(await exporterFindings('logs', input.logs)), ...(await exporterFindings('metrics', input.metrics)));
  findings.push(await healthFinding(input.health));
  return findings;
}

/** The table. */
export function renderFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ what }) => what.length));
  const marks = { ok: 'ok  ', note: 'note', bad: 'BAD ' } as const;
  return findings.map(({ what, level, text }) => `${marks[level]}  ${what.padEnd(width)}  ${text}\n`).join('');
}

/** The first hello and status that the loader gives a watcher. */
export function peek(
  path: string,
): Promise<{ hello: Hello | null; status: LoaderStatus | null; error: string | null }> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const decoder = new Decoder();
    let hello: Hello | null = null;
    let status: LoaderStatus | null = null;
    const finish = (error: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ hello, status, error });
    };
    const timer = setTimeout(
      () => finish(hello === null ? `What listens at ${path} did not say hello within ${ANSWER_TIMEOUT_MS} ms.` : null),
      ANSWER_TIMEOUT_MS,
    );
    socket.on('error', (error: NodeJS.ErrnoException) => finish(connectError(path, error)));
    socket.on('close', () => finish(hello === null ? `${path} closed the connection without hello.` : null));
    socket.on('data', (chunk: Buffer) => {
      for (const decoded of decoder.push(chunk)) {
        if (!decoded.ok) {
          finish(`${path} sent a line that cannot be read: ${decoded.error.message}.`);
          return;
        }
        if (decoded.message.type === 'hello') hello = decoded.message;
        if (decoded.message.type === 'error') {
          finish(`The loader answered ${decoded.message.code}: ${decoded.message.message}.`);
          return;
        }
        if (decoded.message.type === 'status') status = decoded.message;
        if (hello !== null && status !== null) {
          finish(null);
          return;
        }
      }
    });
  });
}

function helloFindings(hello: Hello): Finding[] {
  const findings: Finding[] = [
    { what: 'loader', level: 'ok', text: `${hello.loader_version}, kernel ${hello.kernel_release}` },
    hello.consumer_connected
      ? { what: 'consumer', level: 'ok', text: 'a service reads the deaths' }
      : {
          what: 'consumer',
          level: 'note',
          text: 'no service reads the deaths; they wait in the ring. Start one: whodunit run',
        },
  ];
  const missing = missingProbe(hello);
  for (const { name, attached, note } of hello.probes) {
    const level = attached ? 'ok' : missing?.includes(` ${name} `) ? 'bad' : 'note';
    findings.push({ what: `probe ${name}`, level, text: note ?? (attached ? 'attached' : 'not attached') });
  }
  if (missing !== null && !findings.some(({ level }) => level === 'bad'))
    findings.push({ what: 'probes', level: 'bad', text: missing });
  return findings;
}

function statusFindings(status: LoaderStatus): Finding[] {
  const fill = status.ring_bytes === 0 ? 0 : Math.round((100 * status.ring_used_bytes) / status.ring_bytes);
  const lost = status.lost.ring_full + status.lost.missed + status.lost.undecodable;
  return [
    {
      what: 'ring',
      level: fill > 80 ? 'bad' : 'ok',
      text: `${size(status.ring_used_bytes)} of ${size(status.ring_bytes)} used (${fill} %)${fill > 80 ? ': the service does not keep up, or the collector is down' : ''}`,
    },
    {
      what: 'counted',
      level: lost > 0n ? 'note' : 'ok',
      text: `${status.deaths} deaths, ${status.exits_normal} normal exits, ${lost} lost, ${status.lost.memory_full} signals not remembered`,
    },
  ];
}

async function exporterFindings(signal: string, target: DoctorInput['logs']): Promise<Finding[]> {
  if (target === null)
    return [{ what: signal, level: 'note', text: 'not sent: set OTEL_EXPORTER_OTLP_ENDPOINT to send to a collector' }];
  const text = `${target.protocol} to ${withoutCredentials(target.endpoint)}`;
  const refused = await reach(target.endpoint, target.protocol);
  if (refused !== null) return [{ what: signal, level: 'bad', text: `${text}: ${refused}` }];
  const port = URL.canParse(target.endpoint) ? new URL(target.endpoint).port : '';
  const crossed = (port === '4317' && target.protocol !== 'grpc') || (port === '4318' && target.protocol === 'grpc');
  if (!crossed) return [{ what: signal, level: 'ok', text }];
  return [
    { what: signal, level: 'note', text: `${text}: 4317 is usually grpc, 4318 http; see OTEL_EXPORTER_OTLP_PROTOCOL` },
  ];
}

/** Opens a TCP connection to the endpoint and closes it. null: it can be reached (or is no TCP address). */
function reach(endpoint: string, protocol: Protocol): Promise<string | null> {
  const url = /^\w+:\/\//.test(endpoint) ? endpoint : `https://${endpoint}`;
  if (!URL.canParse(url)) return Promise.resolve(null);
  const { hostname, port, protocol: scheme } = new URL(url);
  if (hostname === '') return Promise.resolve(null);
  const fallback = scheme === 'https:' ? 443 : protocol === 'grpc' ? 80 : 80;
  const socket: Socket = connect({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? fallback : Number(port),
  });
  return new Promise((resolve) => {
    const finish = (text: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(text);
    };
    const timer = setTimeout(() => finish('no answer'), ANSWER_TIMEOUT_MS);
    socket.on('connect', () => finish(null));
    socket.on('error', (error: NodeJS.ErrnoException) => finish(`cannot be reached (${error.code ?? error.message})`));
  });
}

async function healthFinding(address: DoctorInput['health']): Promise<Finding> {
  if (address === null) return { what: 'health', level: 'note', text: 'off' };
  const host = address.host === '0.0.0.0' ? '127.0.0.1' : address.host;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${address.port}/readyz`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    const body = (await response.text()).trim().slice(0, 200);
    return {
      what: 'health',
      level: response.status === 200 ? 'ok' : 'bad',
      text: `${url}: ${response.status} ${body}`,
    };
  } catch {
    return { what: 'health', level: 'note', text: `${url}: nobody answers; is the service running?` };
  }
}

function withoutCredentials(endpoint: string): string {
  return endpoint.replace(/\/\/[^/@]*@/, '//');
}
