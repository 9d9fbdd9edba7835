// SPDX-License-Identifier: Apache-2.0
// A real collector's own `validate` on every configuration that is shipped, in every combination that the files speak of.
import { describe, expect, it } from 'vitest';
import { COMBINATIONS, collectorFiles, SETTINGS, startConfigs } from './shipped.ts';

async function validate(
  files: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ code: number | null; said: string }> {
  const program = startConfigs(['validate'], files, env);
  const { code } = await program.ended;
  return { code, said: program.output() };
}

describe('validate', () => {
  it('every file is part of a combination', () => {
    expect(new Set(COMBINATIONS.flat())).toEqual(new Set(collectorFiles()));
  });

  it.each(COMBINATIONS.map((files) => ({ files, name: files.join(' + ') })))('$name', async ({ files }) => {
    const { code, said } = await validate(files, SETTINGS);
    expect(code, said).toBe(0);
    expect(said).not.toMatch(/deprecated/i);
  });

  it('says no where a setting is missing without which nothing can be sent', async () => {
    const { code, said } = await validate(['collector', 'backends/grafana-cloud'], {});
    expect(code).not.toBe(0);
    expect(said).toMatch(/GRAFANA_CLOUD_OTLP_ENDPOINT|endpoint must be specified/);
  });
});
