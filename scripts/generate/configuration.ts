// SPDX-License-Identifier: Apache-2.0
// `npm run generate:configuration`: writes docs/configuration.md from the table of settings (src/config/knobs.ts) and the --help text
// (src/config/help.ts). `--check` only compares.
import { HELP } from '../../src/config/help.ts';
import { KNOBS, type Knob, OTLP_KNOBS } from '../../src/config/knobs.ts';
import { writeOrCheck } from './fresh.ts';

writeOrCheck({ 'docs/configuration.md': page() }, 'npm run generate:configuration');

function page(): string {
  const of = (...readers: Knob['reader'][]) =>
    Object.entries<Knob>(KNOBS).filter(([, { reader }]) => readers.includes(reader));
  const service = of('service');
  const parts = [
    '<!-- Generated from src/config/knobs.ts and src/config/commands.ts by `npm run generate:configuration`: do not edit. -->',
    '# Configuration',
    'All settings are environment variables. An empty variable counts as unset. An invalid value, except of `OTEL_LOG_LEVEL`, stops the program with exit code 78 and a message that names the variable, its value, what is allowed and the remedy. Flags override variables.',
    '## Where records go',
    'These are the standard OpenTelemetry variables. Each `OTEL_EXPORTER_OTLP_*` also has a form for one signal, `OTEL_EXPORTER_OTLP_LOGS_*`, `_METRICS_*` and `_TRACES_*`, which overrides it.',
    table(service.filter(([name]) => name.startsWith('OTEL_'))),
    table(Object.entries<Row>(OTLP_KNOBS).map(([name, knob]) => [`OTEL_EXPORTER_OTLP_${name}`, knob])),
    '## The service',
    table(service.filter(([name]) => name.startsWith('WHODUNIT_'))),
    '## Loader and service',
    table(of('both')),
    '## The loader',
    'Each is also a flag of `whodunit-loader run`: `--socket`, `--socket-group`, `--socket-user`, `--pin-dir`, `--ring-bytes`, `--btf`, `--scope`, `--thread-context`, and `--unload-on-exit`, which has no variable.',
    table(of('loader')),
    '## Commands and flags of the service',
    ['```', HELP, '```'].join('\n'),
  ];
  return `${parts.join('\n\n')}\n`;
}

type Row = Omit<Knob, 'reader'>;

function table(knobs: readonly (readonly [name: string, knob: Row])[]): string {
  const rows = knobs.map(([name, { fallback, unless, kind, what }]) => {
    const standard = fallback === '' ? '' : `\`${fallback}\``;
    const other = unless === undefined ? '' : `; \`${unless.fallback}\` ${unless.when}`;
    return `| \`${name}\` | ${standard}${other} | ${kind.allowed} | ${what} |`;
  });
  return ['| variable | default | allowed | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}
