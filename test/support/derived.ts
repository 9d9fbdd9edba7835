// SPDX-License-Identifier: Apache-2.0
// What the service derives from a termination, for tests of one stage.
import type { ArgumentsMode } from '../../src/core/identity/arguments.ts';
import { type Identities, identify } from '../../src/core/identity/identity.ts';
import type { Attributes } from '../../src/core/telemetry/attributes.ts';
import { resourceOf } from '../../src/core/telemetry/resource.ts';
import { classify } from '../../src/core/verdict/classify.ts';
import type { Death } from '../../src/core/wire/event.ts';
import { host as machine } from './host.ts';

export function identitiesOf(death: Death, mode: ArgumentsMode = 'redacted', host = machine): Identities {
  return identify(death, classify(death), host, mode);
}

export function resourceOfVictim(death: Death, mode: ArgumentsMode = 'redacted', host = machine): Attributes {
  return resourceOf(identitiesOf(death, mode, host).victim, host);
}
