// SPDX-License-Identifier: Apache-2.0
// Every LogQL of dashboards and alerts is read by Loki's own parser, and asks for nothing that no record has; every dashboard is one by
// Grafana's own schema. No Loki and no Grafana run here: whether Loki returns data is not tested.
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import * as semconv from '../../src/core/telemetry/semconv.ts';
import { dashboards, shownQueries } from './shown.ts';

interface Verdict {
  readonly logql: readonly { readonly error: string; readonly names: readonly string[] | null }[];
  readonly dashboards: readonly string[];
}

function judge(logql: readonly string[], boards: readonly unknown[]): Verdict {
  const program = process.env.WHODUNIT_TEST_QUERIES;
  if (program === undefined) throw new Error('WHODUNIT_TEST_QUERIES is not set: run npm run test:configs');
  return JSON.parse(execFileSync(program, { input: JSON.stringify({ logql, dashboards: boards }), encoding: 'utf8' }));
}

/** As Loki's OTLP endpoint names attributes, and what it adds of the record itself. */
const known = new Set([
  ...Object.values(semconv).flatMap((value) => (typeof value === 'string' ? [value.replaceAll('.', '_')] : [])),
  'trace_id',
  'span_id',
  'scope_name',
]);

const queries = shownQueries().filter(({ language }) => language === 'logql');

describe('LogQL', () => {
  const { logql } = judge(
    queries.map(({ expr }) => expr),
    [],
  );

  it.each(queries.map((query, index) => ({ ...query, ...logql[index] })))('$at', ({ expr, error, names }) => {
    expect(error, expr).toBe('');
    const unknown = (names ?? []).filter((name) => !known.has(name));
    expect(unknown, expr).toEqual([]);
  });

  it('what Loki does not take is found out', () => {
    const [wrong] = judge(['sum by (service_name (count_over_time({service_name=~".+"}[5m]))'], []).logql;
    expect(wrong?.error).toContain('parse error');
  });
});

describe('a dashboard', () => {
  it.each(dashboards)('$name is one by the schema of Grafana', ({ text }) => {
    expect(judge([], [JSON.parse(text)]).dashboards).toEqual(['']);
  });

  it('what Grafana does not know is found out', () => {
    const board = JSON.parse(dashboards[0]?.text ?? '');
    board.panels[0].targets[0].exprr = 'up';
    expect(judge([], [board]).dashboards[0]).toContain("unexpected field 'exprr'");
  });
});
