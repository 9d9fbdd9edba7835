// SPDX-License-Identifier: Apache-2.0
// The table of docs/quick-start.md that says with which versions of other programs the tests ran: the versions are those that are built, and
// the tests that it names exist.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type Backend, versionOf } from '../../scripts/build/backends.ts';
import { ROOT } from '../../scripts/paths.ts';

const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const PAGE = text('docs/quick-start.md');
const versionIn = (path: string, pattern: RegExp): string => pattern.exec(text(path))?.[1] ?? 'none';
const built = (name: Backend): string => versionOf(name).replace(/^v/, '');

it.each([
  ['OpenTelemetry Collector', versionIn('test/configs/builder.yaml', /^ {2}version: (\S+)$/m)],
  ['Loki', built('loki')],
  // The module of Prometheus 3.12 is v0.312.0.
  ['Prometheus', built('prometheus').replace(/^0\.(\d)(\d\d)\.0$/, '$1.$2')],
  ['Alertmanager', built('alertmanager')],
  ['Jaeger', built('jaeger')],
  ['Kafka', versionIn('test/configs/kafka/pom.xml', /<artifactId>kafka_[\d.]+<\/artifactId>\s*<version>([^<]+)/)],
])('the table says that %s %s ran, and names tests that exist', (name, version) => {
  const [, stated, answered = ''] = new RegExp(`^\\| ${name} \\| (\\S+) \\| (.*) \\|$`, 'm').exec(PAGE) ?? [];
  expect(stated).toBe(version);
  const tests = Array.from(answered.matchAll(/\]\(\.\.\/(test\/[^)]+)\)/g), ([, path = '']) => path);
  expect(tests).not.toHaveLength(0);
  for (const path of tests) expect(existsSync(join(ROOT, path)), path).toBe(true);
});
