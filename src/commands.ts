// SPDX-License-Identifier: Apache-2.0
// All commands but `run`. One file, so that the bundle has them in one part, which `run` does not load.
import type { Config } from './cli.ts';
import { HELP } from './config/help.ts';
import { VERSION } from './core/version.ts';
import { doctor, testTermination } from './doctor.ts';
import { renderMeanings } from './io/explain.ts';
import { runHistoryCommand } from './io/history/commands.ts';
import { testFilters } from './io/history/filters.ts';
import type { Log } from './io/log.ts';
import { mute } from './io/mutes.ts';
import { print } from './io/output.ts';
import { listRules } from './io/rules.ts';
import { catchSignals } from './io/signals.ts';
import { ui } from './io/ui/ui.ts';
import { up } from './io/up/up.ts';
import type { Clock } from './storing.ts';

type CommandConfig = Exclude<Config, { readonly command: 'run' }>;

/** Returns the exit code. */
export async function runCommand(config: CommandConfig, clock: Clock, log: Log): Promise<number> {
  switch (config.command) {
    case 'help':
      await print(`${HELP}\n`);
      return 0;
    case 'version':
      await print(`whodunit ${VERSION}\n`);
      return 0;
    case 'up':
      return up(config);
    case 'list':
    case 'show':
    case 'follow':
    case 'stats':
    case 'purge':
      return runHistoryCommand(config, log);
    case 'mute':
      return mute(config);
    case 'ui':
      return ui(config, catchSignals(log).stop.signal);
    case 'doctor':
      return config.test ? testTermination(config, clock, log) : doctor(config, log);
    case 'filters':
      return config.test ? testFilters(config, log) : listRules(config);
    case 'explain':
      await print(renderMeanings(config));
      return 0;
  }
}
