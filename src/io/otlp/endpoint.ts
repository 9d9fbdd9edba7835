// SPDX-License-Identifier: Apache-2.0
// Probes an OTLP endpoint for the protocols that it speaks: TLS, HTTP/1.1, HTTP/2. Sends no telemetry. core/delivery/diagnose.ts
// interprets the result.
import { connect as connectHttp2, constants } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Spoken } from '../../core/delivery/diagnose.ts';

/** The timeout of each probe. */
const ANSWER_TIMEOUT_MS = 3_000;
const HTTP_PORT = 80;
const HTTPS_PORT = 443;

interface Address {
  readonly host: string;
  readonly port: number;
}

/** `ca`: the CA that the exporter trusts, in PEM format; null: the well-known CAs. Returns null for an address that cannot be probed (unix:). */
export async function probeEndpoint(endpoint: string, ca: string | null = null): Promise<Spoken | null> {
  const address = addressOf(endpoint);
  if (address === null) return null;
  const reason = await reach(address);
  if (reason !== null) return { kind: 'unreachable', reason };
  const [over1, over2] = await Promise.all([shakeHands(address, 'http/1.1', ca), shakeHands(address, 'h2', ca)]);
  if (over1 !== null || over2 !== null) {
    const distrust = over1?.distrust ?? over2?.distrust ?? null;
    return { kind: 'spoken', tls: true, distrust, http1: over1?.agreed ?? false, http2: over2?.agreed ?? false };
  }
  const [http1, http2] = await Promise.all([speaksHttp1(address), speaksHttp2(address)]);
  return { kind: 'spoken', tls: false, distrust: null, http1, http2 };
}

function addressOf(endpoint: string): Address | null {
  if (endpoint.startsWith('unix:')) return null;
  const url = /^\w+:\/\//.test(endpoint) ? endpoint : `https://${endpoint}`;
  if (!URL.canParse(url)) return null;
  const { hostname, port, protocol } = new URL(url);
  if (hostname === '') return null;
  const fallback = protocol === 'https:' ? HTTPS_PORT : HTTP_PORT;
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? fallback : Number(port) };
}

/** Runs one probe: resolves with the argument of `answer`, or with `otherwise` if the socket is closed or times out before. */
function probe<T>(socket: Socket, otherwise: T, start: (answer: (value: T) => void) => void): Promise<T> {
  return new Promise((resolve) => {
    const answer = (value: T): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(value);
    };
    const timer = setTimeout(() => answer(otherwise), ANSWER_TIMEOUT_MS);
    socket.on('error', () => answer(otherwise));
    socket.on('close', () => answer(otherwise));
    start(answer);
  });
}

/** Returns why connecting fails; null: it succeeds. */
function reach(address: Address): Promise<string | null> {
  const socket = connect(address);
  return probe<string | null>(socket, 'no answer', (answer) => {
    socket.on('connect', () => answer(null));
    socket.prependListener('error', (error: NodeJS.ErrnoException) => answer(error.code ?? error.message));
  });
}

/** Makes a TLS handshake for one protocol. Returns null if it fails. `agreed`: the server accepts the protocol. */
function shakeHands(
  { host, port }: Address,
  protocol: 'http/1.1' | 'h2',
  ca: string | null,
): Promise<{ agreed: boolean; distrust: string | null } | null> {
  const socket: TLSSocket = connectTls({
    host,
    port,
    ALPNProtocols: [protocol],
    rejectUnauthorized: false,
    ...(ca === null ? {} : { ca }),
    ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
  });
  return probe<{ agreed: boolean; distrust: string | null } | null>(socket, null, (answer) => {
    socket.on('secureConnect', () => {
      const distrust = socket.authorized ? null : String(socket.authorizationError ?? 'not authorized');
      // A server without ALPN speaks HTTP/1.1.
      answer({
        agreed: socket.alpnProtocol === protocol || (protocol === 'http/1.1' && !socket.alpnProtocol),
        distrust,
      });
    });
  });
}

function speaksHttp1(address: Address): Promise<boolean> {
  const socket = connect(address);
  return probe(socket, false, (answer) => {
    socket.on('connect', () => socket.write(`GET / HTTP/1.1\r\nHost: ${address.host}\r\nConnection: close\r\n\r\n`));
    socket.on('data', (chunk: Buffer) => answer(chunk.toString('latin1').startsWith('HTTP/1.')));
  });
}

/** A server that accepts the preface answers with its settings (RFC 9113, 3.4). */
function speaksHttp2({ host, port }: Address): Promise<boolean> {
  const session = connectHttp2(`http://${host.includes(':') ? `[${host}]` : host}:${port}`);
  return new Promise((resolve) => {
    const answer = (value: boolean): void => {
      clearTimeout(timer);
      session.destroy(undefined, constants.NGHTTP2_NO_ERROR);
      resolve(value);
    };
    const timer = setTimeout(() => answer(false), ANSWER_TIMEOUT_MS);
    session.on('remoteSettings', () => answer(true));
    session.on('error', () => answer(false));
    session.on('close', () => answer(false));
  });
}
