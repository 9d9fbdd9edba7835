// SPDX-License-Identifier: Apache-2.0
// A termination on its way to a person: the record goes to a real Loki, its ruler to a real Alertmanager with the shipped routes, and that to
// the pager, with the sentence of the record.
import { afterEach, expect, it } from 'vitest';
import { startHost } from '../../scripts/stack/fleet-host.ts';
import { startLoki } from '../../scripts/stack/loki.ts';
import { until } from '../../scripts/stack/program.ts';
import { startAlertmanager } from './alertmanager.ts';

/** The rules see what is a few seconds old, and group_wait is 10 s. */
const PAGED_WITHIN_MS = 180_000;

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

function later<T extends { stop: () => unknown }>(started: T): T {
  cleanUp.push(() => started.stop());
  return started;
}

it('FATAL pages a person with the sentence of the record, and a kill goes to the channel of the team', async () => {
  const alertmanager = later(await startAlertmanager());
  const loki = later(await startLoki(true, alertmanager.url));
  const logs = `${loki.url}/otlp/v1/logs`;
  const host = later(await startHost('web-1', { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: logs }));
  for (const [golden, service] of [
    ['death-segfault', 'shop'],
    ['death-exit-3', 'calm'],
    ['death-sigkill-by-another', 'cart'],
  ] as const)
    host.terminate({ golden, service, endedMs: Date.now() });
  const diagnostics = () => `${host.program.output()}${loki.output()}${alertmanager.output()}`;
  const page = await until('the page', PAGED_WITHIN_MS, () => alertmanager.pages[0], diagnostics);
  expect(page.payload).toMatchObject({
    severity: 'critical',
    summary: expect.stringMatching(/^sleep \(pid \d+\) .*SIGSEGV/),
    custom_details: {
      sentence: expect.stringMatching(/^"sleep \(pid \d+\) .*SIGSEGV/),
      runbook: expect.stringMatching(/^https:.*alerts\.md#fatal$/),
    },
  });
  const noted = () => alertmanager.notes.flatMap(({ alerts }) => alerts.map(({ labels }) => labels));
  const note = await until('the note', PAGED_WITHIN_MS, () => noted()[0], diagnostics);
  expect(note).toMatchObject({ alertname: 'KilledByProcess', service_name: 'cart', host_name: 'web-1' });
  expect(alertmanager.pages).toHaveLength(1);
  expect(noted().filter(({ service_name }) => service_name !== 'cart')).toEqual([]);
});
