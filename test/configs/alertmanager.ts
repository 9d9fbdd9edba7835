// SPDX-License-Identifier: Apache-2.0
// A real Alertmanager with the shipped routes, and what its receivers are sent: the pager at the address of PagerDuty, the team's channel.
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parse } from 'yaml';
import { answers } from '../../scripts/stack/collector.ts';
import { freePorts, ROOT, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';

const READY_WITHIN_MS = 60_000;
const SHIPPED = join(ROOT, 'otel-config/alertmanager/alertmanager.yaml');

/** An event of PagerDuty (Events API v2). */
export interface Page {
  readonly payload: {
    readonly summary: string;
    readonly severity: string;
    readonly custom_details: Readonly<Record<string, string>>;
  };
}

/** A notification of a webhook. */
export interface Note {
  readonly alerts: readonly { readonly labels: Readonly<Record<string, string>> }[];
}

export interface Alertmanager {
  readonly url: string;
  readonly pages: readonly Page[];
  readonly notes: readonly Note[];
  readonly output: () => string;
  readonly stop: () => Promise<void>;
}

export async function startAlertmanager(): Promise<Alertmanager> {
  const binary = process.env.WHODUNIT_TEST_ALERTMANAGER;
  if (binary === undefined) throw new Error('WHODUNIT_TEST_ALERTMANAGER is not set: run npm run test:configs');
  const directory = temporaryDirectory();
  const [port = 0] = await freePorts(1);
  const receivers = await startReceivers();
  const key = join(directory.path, 'key');
  writeFileSync(key, 'a-routing-key');
  const config = parse(readFileSync(SHIPPED, 'utf8'));
  for (const { pagerduty_configs = [], webhook_configs = [] } of config.receivers) {
    for (const one of pagerduty_configs) Object.assign(one, { routing_key_file: key, url: `${receivers.url}/pages` });
    for (const one of webhook_configs) one.url = `${receivers.url}/notes`;
  }
  const file = join(directory.path, 'alertmanager.json'); // JSON is YAML
  writeFileSync(file, JSON.stringify(config));
  const program = startProgram(binary, [
    `--config.file=${file}`,
    `--storage.path=${join(directory.path, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--cluster.listen-address=',
  ]);
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    await program.stop();
    receivers.stop();
    directory.remove();
  };
  try {
    await until(
      'Alertmanager',
      READY_WITHIN_MS,
      () => {
        if (!program.alive()) throw new Error(`Alertmanager has ended:\n${program.output()}`);
        return answers(`${url}/-/ready`);
      },
      program.output,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { pages: receivers.pages, notes: receivers.notes, url, output: program.output, stop };
}

async function startReceivers(): Promise<{ url: string; pages: Page[]; notes: Note[]; stop: () => void }> {
  const [pages, notes]: [Page[], Note[]] = [[], []];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    if (request.url === '/pages') pages.push(JSON.parse(text));
    else notes.push(JSON.parse(text));
    response.writeHead(202, { 'content-type': 'application/json' }).end('{"status":"success"}');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${port}`, pages, notes, stop };
}
