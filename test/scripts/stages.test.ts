// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/base/run.ts';
import { Capture, print, progress, show, withCapture } from '../../scripts/base/screen.ts';
import { type Counts, report } from '../../scripts/suites/counts.ts';
import { Stages } from '../../scripts/suites/stages.ts';

const named = (what: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${what} ${index}`);
const counts = (passed: number, failed = 0, skipped = 0): Counts => ({
  passed,
  failed: named('failed', failed),
  skipped: named('skipped', skipped),
});

/** Stages with a manual clock, and their output. */
function fixture({ ci = false } = {}) {
  let ms = 0;
  const capture = new Capture();
  const stages = new Stages(ci, () => ms);
  const wait = (more: number): void => {
    ms += more;
  };
  return { stages, wait, shown: () => capture.text, run: <T>(work: () => Promise<T>) => withCapture(capture, work) };
}

describe('stages', () => {
  it('add up the results of the suites', async () => {
    const { stages, run } = fixture();
    await run(async () => {
      await stages.test('one', async () => counts(2, 1));
      await stages.testInBackground('two', async () => counts(3, 0, 4)).finish();
    });
    expect(stages.total()).toEqual(counts(5, 1, 4));
  });

  it('count skipped tests as failed in CI', async () => {
    const { stages, run, shown } = fixture({ ci: true });
    await run(() => stages.test('one', async () => counts(2, 1, 3)));
    expect(stages.total()).toEqual({
      passed: 2,
      failed: ['failed 0', 'skipped 0 (skipped)', 'skipped 1 (skipped)', 'skipped 2 (skipped)'],
      skipped: [],
    });
    expect(shown()).toBe('one: 2 passed, 4 failed\n\n');
  });

  it('show background output in one piece when it is awaited', async () => {
    const { stages, run, shown } = fixture();
    await run(async () => {
      const background = stages.prepareInBackground('building', async () => progress('building … done\n'));
      await background.ended;
      print('in the foreground');
      await background.finish();
    });
    expect(shown()).toBe('in the foreground\nbuilding … done\n');
  });

  it('throw a background error when it is awaited, after its output', async () => {
    const { stages, run, shown } = fixture();
    const fails = stages.prepareInBackground('building', async () => {
      print('the output');
      throw new Error('no compiler');
    });
    await fails.ended;
    await run(() => expect(fails.finish()).rejects.toThrow('no compiler'));
    expect(shown()).toBe('the output\n');
    expect(stages.total()).toEqual(counts(0));
  });

  it('are listed with their times, in order of start', async () => {
    const { stages, wait, run } = fixture();
    await run(async () => {
      let end = () => {};
      const prepared = new Promise<void>((resolve) => {
        end = resolve;
      });
      wait(500);
      const background = stages.prepareInBackground('preparing', () => prepared);
      wait(1_500);
      await stages.test('unit tests', async () => {
        wait(12_340);
        return counts(7);
      });
      wait(1_000);
      end();
      await background.finish();
    });
    expect(stages.table().split('\n')).toEqual([
      'stage        from    time',
      'preparing   0.5 s  14.8 s',
      'unit tests  2.0 s  12.3 s  7 passed, 0 failed',
      'all         0.0 s  15.3 s',
    ]);
  });
});

describe('the end of the output', () => {
  const shown = async (result: Counts): Promise<[string[], number]> => {
    const capture = new Capture();
    const code = await withCapture(capture, async () => report(result));
    return [capture.text.trimEnd().split('\n'), code];
  };

  it('is one line if every test passed', async () => {
    expect(await shown(counts(3, 0, 1))).toEqual([['3 passed, 0 failed, 1 skipped'], 0]);
  });

  it('lists the failed tests', async () => {
    expect(await shown(counts(3, 2))).toEqual([['failed:', '  failed 0', '  failed 1', '3 passed, 2 failed'], 1]);
  });

  it('lists at most 20 failed tests', async () => {
    const [lines] = await shown(counts(0, 23));
    expect(lines).toHaveLength(23);
    expect(lines.slice(-3)).toEqual(['  failed 19', '  and 3 more', '0 passed, 23 failed']);
  });
});

describe('a program in the background', () => {
  it('has its standard output and error captured, and returns its exit code', async () => {
    const capture = new Capture();
    const code = await withCapture(capture, () => show('sh', ['-c', 'echo out; echo err >&2; exit 3']));
    expect(code).toBe(3);
    expect(capture.text.split('\n').sort()).toEqual(['', 'err', 'out']);
  });
});

it('a stage with `yields` runs its programs at the lowest priority', async () => {
  const { stages, run: inForeground } = fixture();
  const priority = () => run('sh', ['-c', 'sleep 0.2; nice']);
  const yields = stages.prepareInBackground('building', priority, { yields: true });
  const competes = stages.prepareInBackground('packing', priority);
  await inForeground(async () => expect((await yields.finish()).trim()).toBe('19'));
  await inForeground(async () => expect(await competes.finish()).toBe(await priority()));
});
