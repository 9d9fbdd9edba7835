// SPDX-License-Identifier: Apache-2.0
// `whodunit doctor` and `doctor --test`: connects the doctor with the pipeline, so that a test termination is handled as the service does.
import type { Config } from './cli.ts';
import type { Target } from './core/delivery/target.ts';
import type { Death } from './core/wire/event.ts';
import { visibleJson } from './core/words/visible.ts';
import { NO_EFFECTS } from './effects.ts';
import { examine, renderFindings } from './io/doctor/doctor.ts';
import { renderStep } from './io/doctor/step.ts';
import { followTermination } from './io/doctor/test-termination.ts';
import { hostReader } from './io/host.ts';
import type { Log } from './io/log.ts';
import type { Sender } from './io/otlp/log-sender.ts';
import { print } from './io/output.ts';
import { readRules } from './io/rules.ts';
import * as pipelines from './pipeline.ts';
import { newState } from './state.ts';
import type { Clock } from './storing.ts';

type DoctorConfig = Extract<Config, { command: 'doctor' }>;

/** Returns the exit code: 1 if there is a problem. */
export async function doctor(config: DoctorConfig, log: Log): Promise<number> {
  const sender = config.logs && (await startSender(config.logs, log));
  const findings = await examine({ ...config, askLogs: sender && (() => sender.send([])) });
  await print(config.output === 'json' ? `${visibleJson(findings)}\n` : renderFindings(findings));
  return findings.some(({ level }) => level === 'bad') ? 1 : 0;
}

/** Returns the exit code: 1 if a step is broken. */
export async function testTermination(config: DoctorConfig, clock: Clock, log: Log): Promise<number> {
  const unlimited = { recordsPerMinute: Number.POSITIVE_INFINITY, spans: 'all' } as const;
  const settings = { arguments: config.arguments, logins: config.logins, ...unlimited };
  const pipeline: pipelines.Pipeline = {
    settings,
    state: newState(await readRules(config.rules), settings),
    host: hostReader(),
    clock,
    outOfMemory: null,
    effects: NO_EFFECTS,
  };
  const buildRecord = (death: Death, bootId: string) =>
    pipelines.handleTermination(pipeline, death, bootId)?.record ?? null;
  const sender = config.logs && (await startSender(config.logs, log));
  let broken = false;
  const send = sender && ((record: Uint8Array) => sender.send([record]));
  for await (const step of followTermination({ ...config, buildRecord, send })) {
    await print(config.output === 'json' ? `${visibleJson(step)}\n` : renderStep(step));
    broken ||= step.broken;
  }
  return broken ? 1 : 0;
}

/** The exporters are loaded only by a command that sends. */
async function startSender(target: Target, log: Log): Promise<Sender> {
  return (await import('./io/otlp/start.ts')).startSender(target, log);
}
