// SPDX-License-Identifier: Apache-2.0
// Process contexts as publishers write them (OpenTelemetry's OTEP 4719), in base64 as on the wire.
import protobuf from 'protobufjs/minimal.js';

export type Attribute = readonly [key: string, write: (value: protobuf.Writer) => unknown];

/** Writes attributes as a publisher does, each as a field with this tag. `write` appends the field of the AnyValue. */
function attributes(to: protobuf.Writer, tag: number, all: readonly Attribute[]): protobuf.Writer {
  for (const [key, write] of all) {
    to.uint32(tag).fork().uint32(10).string(key);
    write(to.uint32(18).fork());
    to.ldelim().ldelim();
  }
  return to;
}

/** A Resource, as in drafts of the OTEP. */
export function published(...all: readonly Attribute[]): string {
  const resource = attributes(protobuf.Writer.create(), 10, all);
  resource.uint32(16).uint32(3); // dropped_attributes_count
  return Buffer.from(resource.finish()).toString('base64');
}

/** A ProcessContext. */
export function processContext(resource: readonly Attribute[], besides: readonly Attribute[]): string {
  const context = protobuf.Writer.create().uint32(10).fork();
  attributes(context, 10, resource).uint32(16).uint32(3).ldelim();
  return Buffer.from(attributes(context, 18, besides).finish()).toString('base64');
}

/** An ArrayValue. */
export const list =
  (...values: readonly string[]) =>
  (writer: protobuf.Writer) => {
    writer.uint32(42).fork();
    for (const value of values) text(value)(writer.uint32(10).fork()).ldelim();
    return writer.ldelim();
  };

export const text = (value: string) => (writer: protobuf.Writer) => writer.uint32(10).string(value);
