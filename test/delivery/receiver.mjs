// SPDX-License-Identifier: Apache-2.0
// An OTLP/HTTP receiver for JSON on 127.0.0.1:4318 that accepts everything, for a network namespace in which only this program is started.
// It prints a line for each termination: the uid of its record, and the process's pid in its own pid namespace.
import { createServer } from 'node:http';

const attribute = (attributes, key) => {
  const { value } = attributes.find((pair) => pair.key === key) ?? {};
  return value === undefined ? null : Object.values(value)[0];
};

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { resourceLogs = [] } = JSON.parse(Buffer.concat(chunks).toString());
  for (const { resource, scopeLogs } of resourceLogs)
    for (const { eventName, attributes } of scopeLogs.flatMap(({ logRecords }) => logRecords))
      if (
        eventName === 'whodunit.process.termination' &&
        attribute(resource.attributes, 'process.executable.name') === 'mortal'
      )
        console.log(`${attribute(attributes, 'log.record.uid')} ${attribute(resource.attributes, 'process.vpid')}`);
  response.setHeader('content-type', 'application/json').end('{}');
}).listen(4318, '127.0.0.1', () => console.log('ready'));
