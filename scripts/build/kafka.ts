// SPDX-License-Identifier: Apache-2.0
// Downloads Apache Kafka for the tests from Maven Central, once, into the cache. Needs Debian's JDK and Maven.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { requirePackages } from '../base/debian.ts';
import { run, step } from '../base/run.ts';
import { ROOT } from '../paths.ts';
import { cached, cacheOf } from './cache.ts';

const POM = join(ROOT, 'test/configs/kafka/pom.xml');
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';

/** Returns the directory with the broker's jars. Downloads them if they are missing (40 MB). */
export async function fetchKafka(): Promise<string> {
  await requirePackages(['default-jdk-headless'], 'The Kafka broker of test/configs');
  const done = await cached(cacheOf('kafka', readFileSync(POM)), 'done', async (cache) => {
    await requirePackages(['maven'], 'Fetching the Kafka broker of test/configs');
    await step('fetching a Kafka broker from Maven Central (once)', () =>
      run('mvn', ['-q', '-B', '-f', POM, COPY, `-DoutputDirectory=${cache}`, '-DincludeScope=runtime'], {
        remedy: 'It needs Maven Central once; see the output above.',
      }),
    );
    writeFileSync(join(cache, 'done'), '');
  });
  return dirname(done);
}
