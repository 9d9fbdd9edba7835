// SPDX-License-Identifier: Apache-2.0
// Every LogQL query of dashboards and alerts is valid for Loki's parser and uses only names that records have. Every dashboard is valid for
// Grafana's schema. loki.test.ts runs the queries.
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import * as semconv from '../../src/core/telemetry/semconv.ts';
import { dashboards, shownQueries } from './shown.ts';

interface Verdict {
  readonly logql: readonly { readonly error: string; readonly names: readonly string[] | null }[];
  readonly dashboards: readonly string[];
}

function check(logql: readonly string[], boards: readonly unknown[]): Verdict {
  const program = process.env.WHODUNIT_TEST_QUERIES;
  if (program === undefined) throw new Error('WHODUNIT_TEST_QUERIES is not set: run npm run test:configs');
  return JSON.parse(execFileSync(program, { input: JSON.stringify({ logql, dashboards: boards }), encoding: 'utf8' }));
}

function inLoki(attribute: string): string {
  return attribute.replaceAll('.', '_');
}

/** The names of attributes in Loki's OTLP endpoint, and the fields that it adds from the record. */
const known = new Set([
  ...Object.values(semconv).flatMap((value) => (typeof value === 'string' ? [inLoki(value)] : [])),
  ...semconv.CAUSE_VALUES.map((cause) => inLoki(`${semconv.AGGREGATED_BY_CAUSE}.${cause}`)),
  'severity_text',
  'trace_id',
  'span_id',
  'scope_name',
]);

const queries = shownQueries().filter(({ language }) => language === 'logql');

describe('LogQL', () => {
  const { logql } = check(
    queries.map(({ expr }) => expr),
    [],
  );

  it.each(queries.map((query, index) => ({ ...query, ...logql[index] })))('$at', ({ expr, error, names }) => {
    expect(error, expr).toBe('');
    const unknown = (names ?? []).filter((name) => !known.has(name));
    expect(unknown, expr).toEqual([]);
  });

  it('an invalid query is reported', () => {
    const [wrong] = check(['sum by (service_name (count_over_time({service_name=~".+"}[5m]))'], []).logql;
    expect(wrong?.error).toContain('parse error');
  });
});

describe('a dashboard', () => {
  it.each(dashboards)('$name is valid for the schema of Grafana', ({ text }) => {
    expect(check([], [JSON.parse(text)]).dashboards).toEqual(['']);
  });

  it.each(dashboards)('$name has panels with different ids', ({ text }) => {
    const ids = JSON.parse(text).panels.map(({ id }: { id: number }) => id);
    expect(ids).toEqual([...new Set(ids)]);
  });

  it('an unknown field is reported', () => {
    const board = JSON.parse(dashboards[0]?.text ?? '');
    board.panels[0].targets[0].exprr = 'up';
    expect(check([], [board]).dashboards[0]).toContain("unexpected field 'exprr'");
  });
});
