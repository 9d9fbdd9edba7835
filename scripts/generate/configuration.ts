// SPDX-License-Identifier: Apache-2.0
// `npm run generate:configuration`: writes docs/configuration.md from the table of knobs (src/config/knobs.ts) and from the --help
// (src/config/read.ts). `--check` only compares.
import { KNOBS, type Knob, OTLP_KNOBS } from '../../src/config/knobs.ts';
import { HELP } from '../../src/config/read.ts';
import { writeOrCheck } from './fresh.ts';

writeOrCheck({ 'docs/configuration.md': page() }, 'npm run generate:configuration');

function page(): string {
  const of = (...readers: Knob['reader'][]) =>
    Object.entries<Knob>(KNOBS).filter(([, { reader }]) => readers.includes(reader));
  const service = of('service');
  const parts = [
    '<!-- Generated from src/config/knobs.ts and src/config/read.ts by `npm run generate:configuration`: not to be edited. -->',
    '# Configuration',
    'Everything is an environment variable. One that is set to nothing counts as not set; a wrong one ends the program with code 78 and a sentence that names it. Flags go before variables.',
    '## Where records go',
    'OpenTelemetry’s own names. Each `OTEL_EXPORTER_OTLP_*` also has a form for one signal, `OTEL_EXPORTER_OTLP_LOGS_*`, `_METRICS_*`, `_TRACES_*`, which goes before it.',
    table(service.filter(([name]) => name.startsWith('OTEL_'))),
    table(Object.entries<Row>(OTLP_KNOBS).map(([name, knob]) => [`OTEL_EXPORTER_OTLP_${name}`, knob])),
    '## What the service does',
    table(service.filter(([name]) => name.startsWith('WHODUNIT_'))),
    '## Loader and service',
    table(of('both')),
    '## The loader',
    'Each is also a flag of `whodunit-loader run`: `--socket`, `--socket-group`, `--pin-dir`, `--ring-bytes`, `--scope`, `--thread-context`, and `--unload-on-exit`, which has no variable.',
    table(of('loader')),
    '## Commands and flags of the service',
    ['```', HELP, '```'].join('\n'),
  ];
  return `${parts.join('\n\n')}\n`;
}

type Row = Omit<Knob, 'reader'>;

function table(knobs: readonly (readonly [name: string, knob: Row])[]): string {
  const rows = knobs.map(([name, { fallback, allowed, what }]) => {
    const shown = fallback === '' ? '' : `\`${fallback.replace(', with grpc ', '`, with grpc `')}\``;
    return `| \`${name}\` | ${shown} | ${allowed} | ${what} |`;
  });
  return ['| variable | default | allowed | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}
