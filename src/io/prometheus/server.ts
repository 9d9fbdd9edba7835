// SPDX-License-Identifier: Apache-2.0
// Serves /metrics to Prometheus. Its names and counters are less than /status shows, so clients on other machines may read it if the
// address is one of the network; but no web page through a browser (DNS rebinding).
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import type { HealthAddress } from '../../config/health-address.ts';
import { listen, type Purpose, splitHost } from '../http-server.ts';
import type { MetricsPage } from './page.ts';

const PATH = '/metrics';

const PURPOSE: Purpose = {
  what: `address of ${PATH}`,
  codes: ['METRICS_ADDR_TAKEN', 'METRICS_ADDR_UNUSABLE'],
  another: 'set OTEL_EXPORTER_PROMETHEUS_PORT to another port',
  ofThisMachine: 'set OTEL_EXPORTER_PROMETHEUS_HOST to an address of this machine',
};

/** Serves until the server is closed. Rejects with a FatalError if the address cannot be used. */
export function servePage(address: HealthAddress, page: MetricsPage): Promise<Server> {
  return listen(address, PURPOSE, (request, response) => {
    const refusal = refusalOf(request, address);
    if (refusal === null) page.answer(request, response);
    else refuse(response, refusal);
  });
}

interface Refusal {
  readonly status: number;
  readonly text: string;
}

function refusalOf({ method = '', url = '', headers }: IncomingMessage, address: HealthAddress): Refusal | null {
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, text: 'only GET and HEAD are allowed' };
  if (url.split('?')[0] !== PATH) return { status: 404, text: `the path is ${PATH}` };
  if (isKnownHost(headers.host, address, hostname())) return null;
  const given = JSON.stringify(headers.host ?? '');
  return {
    status: 403,
    text: `the Host header is ${given}; only an IP address, localhost, the name of this host or OTEL_EXPORTER_PROMETHEUS_HOST is answered`,
  };
}

/** A web page whose name was rebound to an address of this machine sends that name as Host. An address cannot be rebound. */
export function isKnownHost(header: string | undefined, { host }: HealthAddress, machine: string): boolean {
  const name = splitHost(header);
  return isIP(name) !== 0 || [host, machine, 'localhost'].some((known) => known.toLowerCase() === name);
}

function refuse(response: ServerResponse, { status, text }: Refusal): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
}
