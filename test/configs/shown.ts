// SPDX-License-Identifier: Apache-2.0
// The queries of the shipped dashboards and alerts, as Grafana and the rulers send them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { LOKI_ALERTS } from '../../scripts/stack/loki.ts';
import { ROOT } from '../../scripts/stack/program.ts';

const OTEL_CONFIG = join(ROOT, 'otel-config');
const DASHBOARDS = join(OTEL_CONFIG, 'grafana/dashboards');
export const PROMETHEUS_ALERTS = join(OTEL_CONFIG, 'prometheus/alerts.yaml');

export interface Query {
  /** The dashboard and panel, or the alert. */
  readonly at: string;
  readonly language: 'promql' | 'logql';
  readonly expr: string;
}

export interface Panel {
  readonly title: string;
  readonly type: string;
  /** The smallest `$__interval`, such as `1m`. */
  readonly interval?: string;
  readonly targets: readonly Target[];
}
export interface Target {
  readonly datasource: { readonly type: string };
  readonly expr: string;
  /** The smallest step; Grafana also takes it for the interval of the metrics. */
  readonly interval?: string;
  readonly instant?: boolean;
}
interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}

export const dashboards: readonly { readonly name: string; readonly text: string }[] = readdirSync(DASHBOARDS).map(
  (name) => ({ name, text: readFileSync(join(DASHBOARDS, name), 'utf8') }),
);

/** Values for the variables of Grafana. */
const VARIABLES: Readonly<Record<string, string>> = {
  $logs: 'telemetry_distro_name="whodunit"',
  $namespace: '.*',
  $service: '.*',
  $cause: '.*',
  $host: '.*',
  $__range: '1h',
  $__rate_interval: '1m',
  $__interval: '1m',
};

export function filled(expr: string, variables: Readonly<Record<string, string>> = {}): string {
  return expr.replace(/\$\w+/g, (name) => {
    const value = variables[name] ?? VARIABLES[name];
    if (value === undefined) throw new Error(`unknown variable ${name} in ${expr}`);
    return value;
  });
}

export function panelsOf({ text }: { readonly text: string }): readonly Panel[] {
  return JSON.parse(text).panels;
}

export function shownQueries(): Query[] {
  const panels = dashboards.flatMap(({ name, text }) =>
    panelsOf({ text }).flatMap(({ title, targets }) =>
      targets.map(({ datasource, expr }): Query => {
        const language = datasource.type === 'loki' ? 'logql' : 'promql';
        return { at: `${name}: ${title}`, language, expr: filled(expr) };
      }),
    ),
  );
  return [...panels, ...alerts(PROMETHEUS_ALERTS, 'promql'), ...alerts(LOKI_ALERTS, 'logql')];
}

function alerts(path: string, language: Query['language']): Query[] {
  const { groups } = parse(readFileSync(path, 'utf8')) as Rules;
  return groups.flatMap(({ rules }) => rules.map(({ alert, expr }): Query => ({ at: alert, language, expr })));
}
