import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { ApiError } from '../../platform/index.ts';

/** How a field's values look on the wire; `bytes` is also how a nested message is kept undecoded. */
export type ScalarKind = 'int64' | 'int32' | 'float' | 'double' | 'string' | 'bytes';

interface Field {
  readonly number: number;
  readonly kind: ScalarKind | MessageSchema;
  readonly repeated: boolean;
}

export interface MessageSchema {
  readonly name: string;
  readonly fields: Readonly<Record<string, Field>>;
}

/** int64 values are numbers as far as these are exact, else bigints. */
export type Integer = number | bigint;

type ScalarOf<Kind> = Kind extends 'int64'
  ? Integer
  : Kind extends 'int32' | 'float' | 'double'
    ? number
    : Kind extends 'string'
      ? string
      : Kind extends 'bytes'
        ? Uint8Array
        : Kind extends MessageSchema
          ? Decoded<Kind>
          : never;

/** A message as read: an absent field is undefined, an absent list is empty. */
export type Decoded<M extends MessageSchema> = {
  [K in keyof M['fields']]: M['fields'][K] extends { repeated: true; kind: infer Kind }
    ? ScalarOf<Kind>[]
    : ScalarOf<M['fields'][K]['kind']> | undefined;
};

type EncodableScalar<Kind> = Kind extends MessageSchema ? Encodable<Kind> : ScalarOf<Kind>;

/** A message to write: what is left out is not written. Lists of numbers may be typed arrays. */
export type Encodable<M extends MessageSchema> = {
  [K in keyof M['fields']]?: M['fields'][K] extends { repeated: true; kind: infer Kind }
    ? ArrayLike<EncodableScalar<Kind>>
    : EncodableScalar<M['fields'][K]['kind']> | undefined;
};

export function one<const N extends number, const K extends ScalarKind | MessageSchema>(number: N, kind: K) {
  return { number, kind, repeated: false } as const;
}

export function many<const N extends number, const K extends ScalarKind | MessageSchema>(number: N, kind: K) {
  return { number, kind, repeated: true } as const;
}

export function defineMessage<const F extends Record<string, Field>>(
  name: string,
  fields: F,
): { readonly name: string; readonly fields: F } {
  return { name, fields };
}

const WIRE_TYPE: Record<ScalarKind, WireType> = {
  int64: WireType.Varint,
  int32: WireType.Varint,
  float: WireType.Bit32,
  double: WireType.Bit64,
  string: WireType.LengthDelimited,
  bytes: WireType.LengthDelimited,
};

export const wireTypeOf = ({ kind }: Field): WireType =>
  typeof kind === 'string' ? WIRE_TYPE[kind] : WireType.LengthDelimited;

const byNumber = new WeakMap<MessageSchema, Map<number, [string, Field]>>();

function fieldsByNumber(schema: MessageSchema): Map<number, [string, Field]> {
  let fields = byNumber.get(schema);
  if (!fields) {
    fields = new Map(Object.entries(schema.fields).map(([name, field]) => [field.number, [name, field]]));
    byNumber.set(schema, fields);
  }
  return fields;
}

/**
 * How many fields may still be read, known and unknown ones: two bytes of a hostile file are enough for one. A message
 * within the message takes as long to make as MESSAGE_FIELDS fields, and counts as many.
 */
export interface FieldBudget {
  readonly most: number;
  left: number;
}

const MESSAGE_FIELDS = 20;

export const fieldBudget = (most: number): FieldBudget => ({ most, left: most });

/**
 * Reads a message. Unknown fields are skipped; `bytes` are views into `bytes`, not copies. Throws
 * INVALID_PARAMETER_VALUE when the bytes break off or contradict the schema, or have more fields than the budget,
 * which several calls may share.
 */
export function decodeMessage<M extends MessageSchema>(
  schema: M,
  bytes: Uint8Array,
  budget: FieldBudget = fieldBudget(Number.POSITIVE_INFINITY),
): Decoded<M> {
  try {
    return decode(schema, bytes, budget) as Decoded<M>;
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `Not a readable ONNX file: ${schema.name} is broken (${(error as Error).message})`,
      undefined,
      { cause: error },
    );
  }
}

function decode(schema: MessageSchema, bytes: Uint8Array, budget: FieldBudget): Record<string, unknown> {
  const message: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(schema.fields)) message[name] = field.repeated ? [] : undefined;
  const fields = fieldsByNumber(schema);
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    if (budget.left-- <= 0) throw tooManyFields(budget);
    const [number, wireType] = reader.tag();
    const known = fields.get(number);
    if (!known) {
      reader.skip(wireType, number);
      continue;
    }
    const [name, field] = known;
    const expected = wireTypeOf(field);
    if (field.repeated) {
      const list = message[name] as unknown[];
      if (wireType === expected) list.push(readValue(reader, field.kind, budget));
      else if (wireType === WireType.LengthDelimited && typeof field.kind === 'string')
        readPacked(reader.bytes(), field.kind, list, budget);
      else throw new Error(`${name} has wire type ${wireType}`);
    } else if (wireType === expected) message[name] = readValue(reader, field.kind, budget);
    else throw new Error(`${name} has wire type ${wireType}`);
  }
  return message;
}

function tooManyFields({ most }: FieldBudget): ApiError {
  return new ApiError(
    'INVALID_PARAMETER_VALUE',
    `Not a readable ONNX file: it has more entries than a model needs (more than ${most} fields)`,
  );
}

function readValue(reader: BinaryReader, kind: ScalarKind | MessageSchema, budget: FieldBudget): unknown {
  switch (kind) {
    case 'int64':
      return readInteger(reader);
    case 'int32':
      return reader.int32();
    case 'float':
      return reader.float();
    case 'double':
      return reader.double();
    case 'string':
      return reader.string();
    case 'bytes':
      return reader.bytes();
    default:
      budget.left -= MESSAGE_FIELDS;
      return decode(kind, reader.bytes(), budget);
  }
}

function readInteger(reader: BinaryReader): Integer {
  const value = reader.int64();
  if (typeof value === 'string') return exactInteger(BigInt(value));
  return exactInteger(value);
}

const exactInteger = (value: bigint): Integer =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value;

function readPacked(bytes: Uint8Array, kind: ScalarKind, list: unknown[], budget: FieldBudget): void {
  if (kind === 'float' || kind === 'double') {
    const size = kind === 'float' ? 4 : 8;
    if (bytes.byteLength % size !== 0) throw new Error(`a packed list of ${kind} breaks off`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    budget.left -= bytes.byteLength / size;
    if (budget.left < 0) throw tooManyFields(budget);
    for (let at = 0; at < bytes.byteLength; at += size) {
      list.push(kind === 'float' ? view.getFloat32(at, true) : view.getFloat64(at, true));
    }
    return;
  }
  if (kind !== 'int64' && kind !== 'int32') throw new Error(`a list of ${kind} cannot be packed`);
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    if (budget.left-- <= 0) throw tooManyFields(budget);
    // Most integers are small and take at most four bytes: those need no trip through int64.
    let value = 0;
    let at = reader.pos;
    for (let shift = 0; shift < 28 && at < reader.len; shift += 7) {
      const byte = bytes[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      list.push(value);
      reader.pos = at;
      break;
    }
    if (reader.pos !== at) list.push(kind === 'int64' ? readInteger(reader) : reader.int32());
  }
}
