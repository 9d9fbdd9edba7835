// SPDX-License-Identifier: Apache-2.0
// The address of the health endpoint: its parser, and the URL of each path. The server is io/health.ts, the client io/health-client.ts.
import type { Kind } from './kinds.ts';

export interface HealthAddress {
  readonly host: string;
  readonly port: number;
}

/** `off` is null. An empty host means every address of the machine. */
export const HEALTH_ADDRESS: Kind<HealthAddress | null> = {
  allowed: '`host:port`, `[IPv6 address]:port`, `off`',
  parse(value) {
    if (value === 'off') return null;
    const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(value) ?? [];
    const host = bracketed ?? plain;
    // No client could find port 0, which is any free one.
    if (host === undefined || Number(port) < 1 || Number(port) > 65_535) return undefined;
    return { host: host === '' ? '0.0.0.0' : host, port: Number(port) };
  },
};

/** Returns the URL of `path` at this address, for a client on the same machine. */
export function healthUrl({ host, port }: HealthAddress, path: string): string {
  const to = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${to.includes(':') ? `[${to}]` : to}:${port}${path}`;
}
