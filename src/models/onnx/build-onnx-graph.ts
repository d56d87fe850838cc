import type { ElementType } from '../signature/signature.ts';
import { encodeMessage } from './encode-message.ts';
import {
  ATTRIBUTE_TYPE,
  attributeMessage,
  DATA_TYPE,
  graphMessage,
  modelHeaderMessage,
  type nodeMessage,
  tensorMessage,
  type valueInfoMessage,
} from './onnx-schema.ts';
import type { Encodable, Integer } from './protobuf-message.ts';

/** A dimension: a size, or the name of a free one, such as 'rows'. */
export type Dimension = number | string;

/** The element types that are written; others are only read. */
export type WritableType = ElementType | 'uint8';

export interface TensorValue {
  elementType: WritableType;
  dims: readonly number[];
  data: TensorData;
}

/** Numbers are rounded to the element type; int64 takes numbers or bigints; bool takes 0 and 1. */
export type TensorData = ArrayLike<number> | ArrayLike<bigint> | readonly string[];

/** A node's attribute, its type said in words: 1 as a float and 1 as an int are different things in ONNX. */
export type AttributeValue =
  | { float: number }
  | { int: Integer }
  | { string: string }
  | { floats: ArrayLike<number> }
  | { ints: ArrayLike<Integer> }
  | { strings: ArrayLike<string> }
  | { tensor: TensorValue };

export const ML_DOMAIN = 'ai.onnx.ml';

const utf8 = new TextEncoder();

/**
 * Writes an ONNX file: say the inputs, initialisers, nodes (in an order in which they can run) and outputs, then
 * `encode`. Large attribute lists and initialisers may be typed arrays and are encoded once, when they are given.
 */
export class OnnxGraphBuilder {
  readonly #name: string;
  readonly #inputs: Encodable<typeof valueInfoMessage>[] = [];
  readonly #outputs: Encodable<typeof valueInfoMessage>[] = [];
  readonly #initializers: Uint8Array[] = [];
  readonly #nodes: Encodable<typeof nodeMessage>[] = [];
  readonly #values = new Set<string>();
  #mlUsed = false;
  #opset = 17;

  constructor(name = 'tidemill') {
    this.#name = name;
  }

  /** Declares an input and returns its name. */
  input(name: string, elementType: WritableType, dims: readonly Dimension[]): string {
    this.#inputs.push(valueInfo(name, elementType, dims));
    return this.#define(name);
  }

  /** Declares an output; a node, an initialiser or an input must make it. Returns its name. */
  output(name: string, elementType: WritableType, dims: readonly Dimension[]): string {
    this.#outputs.push(valueInfo(name, elementType, dims));
    return name;
  }

  /** Adds a constant tensor, row-major, and returns its name. */
  initializer(name: string, elementType: WritableType, dims: readonly number[], data: TensorData): string {
    this.#initializers.push(encodeTensor({ elementType, dims, data }, name));
    return this.#define(name);
  }

  /** Adds a node and returns the name of its first output. An input '' leaves an optional one out. */
  node(
    opType: string,
    inputs: readonly string[],
    outputs: readonly string[] | string,
    attributes: Record<string, AttributeValue> = {},
    domain = '',
  ): string {
    const made = typeof outputs === 'string' ? [outputs] : outputs;
    for (const name of inputs) {
      if (name !== '' && !this.#values.has(name)) {
        throw new Error(`Node ${opType} takes ${JSON.stringify(name)}, which nothing before it makes`);
      }
    }
    for (const name of made) if (name !== '') this.#define(name);
    if (domain === ML_DOMAIN) this.#mlUsed = true;
    this.#nodes.push({
      inputs,
      outputs: made,
      name: `${opType}_${this.#nodes.length}`,
      opType,
      attributes: Object.entries(attributes).map(([name, value]) => encodeAttribute(name, value)),
      ...(domain === '' ? {} : { domain }),
    });
    return made[0] ?? '';
  }

  /** Says that a node needs an operator set newer than the default. */
  requireOpset(version: number): void {
    this.#opset = Math.max(this.#opset, version);
  }

  /** A name that no value of the graph has yet. */
  freshName(prefix: string): string {
    let name = prefix;
    for (let count = 2; this.#values.has(name); count++) name = `${prefix}_${count}`;
    return name;
  }

  /**
   * The file. Its defaults (IR 8, operators 17, ml 3) are read by every ONNX Runtime from 1.14 on; `metadata` is
   * written behind the graph.
   */
  encode({
    metadata = {},
    opset = this.#opset,
    mlOpset = 3,
    irVersion = opset > 18 ? 9 : 8,
  }: {
    metadata?: Record<string, string>;
    opset?: number;
    mlOpset?: number;
    irVersion?: number;
  } = {}): Uint8Array {
    for (const { name } of this.#outputs) {
      if (!this.#values.has(name!)) throw new Error(`Output ${JSON.stringify(name)} is made by no node`);
    }
    const graph = encodeMessage(graphMessage, {
      nodes: this.#nodes,
      name: this.#name,
      initializers: this.#initializers,
      inputs: this.#inputs,
      outputs: this.#outputs,
    });
    return encodeMessage(modelHeaderMessage, {
      irVersion,
      producerName: 'tidemill',
      opsets: [
        { domain: '', version: opset },
        ...(this.#mlUsed ? [{ domain: ML_DOMAIN, version: mlOpset }] : []),
      ],
      graph,
      metadata: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    });
  }

  #define(name: string): string {
    if (this.#values.has(name)) throw new Error(`Two values of the graph are called ${JSON.stringify(name)}`);
    this.#values.add(name);
    return name;
  }
}

function valueInfo(
  name: string,
  elementType: WritableType,
  dims: readonly Dimension[],
): Encodable<typeof valueInfoMessage> {
  const dimensions = dims.map((dim) => (typeof dim === 'number' ? { value: dim } : { parameter: dim }));
  return { name, type: { tensor: { elementType: DATA_TYPE[elementType], shape: { dimensions } } } };
}

function encodeAttribute(name: string, value: AttributeValue): Uint8Array {
  if ('float' in value) {
    return encodeMessage(attributeMessage, { name, float: value.float, type: ATTRIBUTE_TYPE.float });
  }
  if ('int' in value)
    return encodeMessage(attributeMessage, { name, int: value.int, type: ATTRIBUTE_TYPE.int });
  if ('string' in value) {
    return encodeMessage(attributeMessage, {
      name,
      string: utf8.encode(value.string),
      type: ATTRIBUTE_TYPE.string,
    });
  }
  if ('floats' in value) {
    return encodeMessage(attributeMessage, { name, floats: value.floats, type: ATTRIBUTE_TYPE.floats });
  }
  if ('ints' in value) {
    return encodeMessage(attributeMessage, { name, ints: value.ints, type: ATTRIBUTE_TYPE.ints });
  }
  if ('strings' in value) {
    return encodeMessage(attributeMessage, {
      name,
      strings: encodeTexts(value.strings),
      type: ATTRIBUTE_TYPE.strings,
    });
  }
  return encodeMessage(attributeMessage, {
    name,
    tensor: encodeTensor(value.tensor),
    type: ATTRIBUTE_TYPE.tensor,
  });
}

/** Each different text is encoded once: the nodes of a forest repeat the same few. */
function encodeTexts(texts: ArrayLike<string>): Uint8Array[] {
  const known = new Map<string, Uint8Array>();
  return Array.from(texts, (text) => {
    const bytes = known.get(text) ?? utf8.encode(text);
    known.set(text, bytes);
    return bytes;
  });
}

/** Throws when the data do not fill the dimensions. */
export function encodeTensor({ elementType, dims, data }: TensorValue, name?: string): Uint8Array {
  const size = dims.reduce((product, dim) => product * dim, 1);
  if (data.length !== size) {
    throw new Error(`Tensor ${name ?? ''} [${dims.join(', ')}] needs ${size} values, and has ${data.length}`);
  }
  const header = { dims, dataType: DATA_TYPE[elementType], ...(name === undefined ? {} : { name }) };
  if (elementType === 'string') {
    return encodeMessage(tensorMessage, { ...header, stringData: encodeTexts(data as readonly string[]) });
  }
  const values = typedValues(elementType, data as ArrayLike<number> | ArrayLike<bigint>);
  return encodeMessage(tensorMessage, {
    ...header,
    rawData: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  });
}

function typedValues(
  elementType: Exclude<WritableType, 'string'>,
  data: ArrayLike<number> | ArrayLike<bigint>,
) {
  const numbers = data as ArrayLike<number>;
  switch (elementType) {
    case 'float32':
      return data instanceof Float32Array ? data : Float32Array.from(numbers);
    case 'float64':
      return data instanceof Float64Array ? data : Float64Array.from(numbers);
    case 'int64':
      return data instanceof BigInt64Array
        ? data
        : BigInt64Array.from(Array.from(data as ArrayLike<Integer>, (value) => BigInt(value)));
    case 'int32':
      return Int32Array.from(numbers);
    case 'bool':
    case 'uint8':
      return Uint8Array.from(numbers);
  }
}
