import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  type Encodable,
  type Integer,
  type MessageSchema,
  type ScalarKind,
  wireTypeOf,
} from './protobuf-message.ts';

/** Writes a message, fields in the order of the schema. */
export function encodeMessage<M extends MessageSchema>(schema: M, message: Encodable<M>): Uint8Array {
  const writer = new BinaryWriter();
  writeFields(writer, schema, message as Record<string, unknown>);
  return writer.finish();
}

function writeFields(writer: BinaryWriter, schema: MessageSchema, message: Record<string, unknown>): void {
  for (const [name, field] of Object.entries(schema.fields)) {
    const value = message[name];
    if (value === undefined) continue;
    const { number, kind } = field;
    const wireType = wireTypeOf(field);
    if (!field.repeated) {
      writer.tag(number, wireType);
      writeValue(writer, kind, value);
    } else if (typeof kind === 'string' && wireType !== WireType.LengthDelimited) {
      const list = value as ArrayLike<Integer>;
      if (list.length > 0) writer.tag(number, WireType.LengthDelimited).bytes(packList(kind, list));
    } else if (kind === 'bytes') {
      for (const item of value as Uint8Array[]) writer.tag(number, wireType).bytes(item);
    } else {
      for (const item of Array.from(value as ArrayLike<unknown>)) {
        writer.tag(number, wireType);
        writeValue(writer, kind, item);
      }
    }
  }
}

function writeValue(writer: BinaryWriter, kind: ScalarKind | MessageSchema, value: unknown): void {
  switch (kind) {
    case 'int64':
      writer.int64(value as Integer);
      return;
    case 'int32':
      writer.int32(value as number);
      return;
    case 'float':
      writer.float(value as number);
      return;
    case 'double':
      writer.double(value as number);
      return;
    case 'string':
      writer.string(value as string);
      return;
    case 'bytes':
      writer.bytes(value as Uint8Array);
      return;
    default:
      writer.fork();
      writeFields(writer, kind, value as Record<string, unknown>);
      writer.join();
  }
}

function packList(kind: ScalarKind, list: ArrayLike<Integer>): Uint8Array {
  if (kind === 'float' || kind === 'double') {
    const values =
      kind === 'float'
        ? Float32Array.from(list as ArrayLike<number>)
        : Float64Array.from(list as ArrayLike<number>);
    return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  }
  return packIntegers(list);
}

/** Varints, written straight into one buffer: a forest has millions of them. */
function packIntegers(list: ArrayLike<Integer>): Uint8Array {
  let bytes = new Uint8Array(Math.max(16, list.length * 2 + 16));
  let at = 0;
  for (let index = 0; index < list.length; index++) {
    if (at + 10 > bytes.length) {
      const larger = new Uint8Array(bytes.length * 2);
      larger.set(bytes);
      bytes = larger;
    }
    const value = list[index]!;
    if (typeof value === 'number' && value >= 0 && value < 0x80000000) {
      let rest = value;
      while (rest > 0x7f) {
        bytes[at++] = (rest & 0x7f) | 0x80;
        rest >>>= 7;
      }
      bytes[at++] = rest;
    } else {
      let rest = BigInt.asUintN(64, BigInt(value));
      while (rest > 0x7fn) {
        bytes[at++] = Number(rest & 0x7fn) | 0x80;
        rest >>= 7n;
      }
      bytes[at++] = Number(rest);
    }
  }
  return bytes.subarray(0, at);
}
