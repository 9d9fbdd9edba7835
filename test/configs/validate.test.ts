// SPDX-License-Identifier: Apache-2.0
// `validate` of a real collector on every shipped configuration, in every combination that the files describe.
import { describe, expect, it } from 'vitest';
import { COMBINATIONS, collectorFiles, SETTINGS, startConfigs } from '../../scripts/stack/shipped.ts';

async function validate(
  files: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ code: number | null; output: string }> {
  const program = startConfigs(['validate'], files, env);
  const { code } = await program.ended;
  return { code, output: program.output() };
}

describe('validate', () => {
  it('every file is part of a combination', () => {
    expect(new Set(COMBINATIONS.flat())).toEqual(new Set(collectorFiles()));
  });

  it.each(COMBINATIONS.map((files) => ({ files, name: files.join(' + ') })))('$name', async ({ files }) => {
    const { code, output } = await validate(files, SETTINGS);
    expect(code, output).toBe(0);
    expect(output).not.toMatch(/deprecated/i);
  });

  it('rejects a configuration with a required setting missing', async () => {
    const { code, output } = await validate(['collector', 'backends/grafana-cloud'], {});
    expect(code).not.toBe(0);
    expect(output).toMatch(/GRAFANA_CLOUD_OTLP_ENDPOINT|endpoint must be specified/);
  });
});
