// A Kafka broker for the tests: Apache's own, from Maven Central, once, into a cache outside the repository. The directory's name has the
// hash of test/configs/kafka/pom.xml in it. Needs Debian's JDK and Maven.
//
// SPDX-License-Identifier: Apache-2.0

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheOf, emptyCache } from './cache.mjs';
import { requirePackages } from './packages.mjs';
import { ROOT, run, step } from './steps.mjs';

const POM = join(ROOT, 'test/configs/kafka/pom.xml');
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';

/** The directory with the broker's jars, made when it is missing (40 MB). */
export async function kafka() {
  await requirePackages(['default-jdk-headless'], 'The Kafka broker of test/configs');
  const cache = cacheOf('kafka', readFileSync(POM));
  const done = join(cache, 'done');
  if (existsSync(done)) return cache;
  await requirePackages(['maven'], 'Fetching the Kafka broker of test/configs');
  emptyCache(cache);
  await step('fetching a Kafka broker from Maven Central (once)', () =>
    run('mvn', ['-q', '-B', '-f', POM, COPY, `-DoutputDirectory=${cache}`, '-DincludeScope=runtime'], {
      remedy: 'It needs Maven Central once; the output above says what was missing.',
    }),
  );
  writeFileSync(done, '');
  return cache;
}
