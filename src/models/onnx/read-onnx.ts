import { ApiError } from '../../platform/index.ts';
import {
  attributeMessage,
  attributeNameMessage,
  DATA_TYPE,
  type DataTypeName,
  functionMessage,
  graphAttributeMessage,
  graphMessage,
  mapTypeMessage,
  modelMessage,
  type OnnxAttribute,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValueInfo,
  sequenceTypeMessage,
  sparseTensorMessage,
  tensorMessage,
  tensorNameMessage,
  typeMessage,
} from './onnx-schema.ts';
import { type Decoded, decodeMessage, type FieldBudget, fieldBudget } from './protobuf-message.ts';
import { refuseOtherFormats } from './refuse-other-formats.ts';

export type OnnxGraph = NonNullable<OnnxModel['graph']>;
/** A model that has a graph. */
export type ReadableModel = OnnxModel & { graph: OnnxGraph };

/** Some 150,000 nodes; the largest networks have a tenth of that. */
const MOST_MODEL_FIELDS = 4_000_000;

/**
 * Decodes a model file. Attributes and initialisers stay bytes until `readAttribute` and `readTensor` are asked for
 * them. Throws INVALID_PARAMETER_VALUE for what is no ONNX file.
 */
export function readOnnx(bytes: Uint8Array): ReadableModel {
  refuseOtherFormats(bytes);
  const model = decodeMessage(modelMessage, bytes, fieldBudget(MOST_MODEL_FIELDS));
  const { graph } = model;
  if (!graph) throw refused('Not an ONNX file: it has no graph');
  return Object.assign(model, { graph });
}

const refused = (message: string): ApiError => new ApiError('INVALID_PARAMETER_VALUE', message);

/** A node's attribute by name; undefined when the node has none of that name. */
export function readAttribute(node: OnnxNode, name: string, budget?: FieldBudget): OnnxAttribute | undefined {
  for (const bytes of node.attributes) {
    if (attributeName(bytes, budget) === name) return decodeMessage(attributeMessage, bytes, budget);
  }
  return undefined;
}

/** Exporters write the name first: it is found without decoding the long lists behind it. */
function attributeName(bytes: Uint8Array, budget?: FieldBudget): string | undefined {
  const length = bytes[1] ?? 0;
  if (bytes[0] === 0x0a && length < 0x80 && bytes.byteLength >= 2 + length) {
    return Buffer.from(bytes.buffer, bytes.byteOffset + 2, length).toString('utf8');
  }
  return decodeMessage(attributeNameMessage, bytes, budget).name;
}

export const readTensor = (bytes: Uint8Array, budget?: FieldBudget): OnnxTensor =>
  decodeMessage(tensorMessage, bytes, budget);

/** The names of tensors, in their order. */
export function tensorNames(
  tensors: readonly Uint8Array[],
  budget: FieldBudget = fieldBudget(MOST_MODEL_FIELDS),
): (string | undefined)[] {
  return tensors.map((bytes) => decodeMessage(tensorNameMessage, bytes, budget).name);
}

const MOST_VALUES_BYTES = 1024 * 1024;

/** The values of a small tensor of numbers or text; undefined for element types that we do not read, and for large ones. */
export function tensorValues(tensor: OnnxTensor): (number | bigint | string)[] | undefined {
  const { rawData } = tensor;
  if (tensor.dataType === DATA_TYPE.string) return tensor.stringData.map(decodeText);
  if (!rawData) {
    if (tensor.dataType === DATA_TYPE.float32) return tensor.floatData;
    if (tensor.dataType === DATA_TYPE.float64) return tensor.doubleData;
    return tensor.dataType === DATA_TYPE.int64 ? tensor.int64Data : tensor.int32Data;
  }
  if (rawData.byteLength > MOST_VALUES_BYTES) return undefined;
  // The view may begin anywhere in the file, a typed array only at a multiple of its element's size.
  const { buffer } = Uint8Array.from(rawData);
  switch (tensor.dataType ?? 0) {
    case DATA_TYPE.float32:
      return Array.from(new Float32Array(buffer, 0, rawData.byteLength >> 2));
    case DATA_TYPE.float64:
      return Array.from(new Float64Array(buffer, 0, rawData.byteLength >> 3));
    case DATA_TYPE.int32:
      return Array.from(new Int32Array(buffer, 0, rawData.byteLength >> 2));
    case DATA_TYPE.int64:
      return Array.from(new BigInt64Array(buffer, 0, rawData.byteLength >> 3), Number);
    case DATA_TYPE.bool:
    case DATA_TYPE.uint8:
      return Array.from(rawData);
    default:
      return undefined;
  }
}

export const decodeText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

/** What a value of the graph is: a tensor with its dimensions (null where free), or something else in words. */
export interface ValueDescription {
  name: string;
  /** 'float32', 'int64', 'string' …; for what is no tensor, such as 'sequence(map(int64, float32))'. */
  type: string;
  /** Sizes, names of free dimensions, null for free ones without a name; undefined when the rank is not said. */
  dims?: (number | string | null)[];
}

const TYPE_NAMES = new Map<number, DataTypeName>(
  Object.entries(DATA_TYPE).map(([name, code]) => [code, name as DataTypeName]),
);

const elementTypeName = (code: number | undefined): string =>
  TYPE_NAMES.get(code ?? 0) ?? `type ${code ?? 0}`;

export function describeValue(value: OnnxValueInfo): ValueDescription {
  const name = value.name ?? '';
  const tensor = value.type?.tensor;
  if (!tensor) return { name, type: value.type ? describeType(value.type, 0) : 'unknown' };
  const dims = tensor.shape?.dimensions.map((dim) =>
    dim.value === undefined ? dim.parameter || null : Number(dim.value) < 0 ? null : Number(dim.value),
  );
  return { name, type: elementTypeName(tensor.elementType), ...(dims ? { dims } : {}) };
}

function describeType(type: Decoded<typeof typeMessage>, depth: number): string {
  if (depth > 4) return '…';
  const inner = (bytes: Uint8Array | undefined) =>
    bytes ? describeType(decodeMessage(typeMessage, bytes), depth + 1) : 'unknown';
  if (type.tensor) return elementTypeName(type.tensor.elementType);
  if (type.sequence) return `sequence(${inner(decodeMessage(sequenceTypeMessage, type.sequence).element)})`;
  if (type.optional) return `optional(${inner(decodeMessage(sequenceTypeMessage, type.optional).element)})`;
  if (type.map) {
    const { keyType, value } = decodeMessage(mapTypeMessage, type.map);
    return `map(${elementTypeName(keyType)}, ${inner(value)})`;
  }
  return type.sparseTensor ? 'sparse tensor' : 'unknown';
}

const CONTROL_FLOW: ReadonlySet<string> = new Set(['If', 'Loop', 'Scan', 'SequenceMap']);

/**
 * Whether how long a run takes may depend on the values of a row: the model has loops or branches, graphs within its
 * graph, or functions of its own, which may hold them.
 */
export function hasControlFlow({ graph, functions }: ReadableModel): boolean {
  if (functions.length > 0) return true;
  return graph.nodes.some(
    ({ opType = '', attributes }) =>
      CONTROL_FLOW.has(opType) ||
      attributes.some((bytes) => {
        const held = decodeMessage(graphAttributeMessage, bytes);
        return held.graph !== undefined || held.graphs.length > 0;
      }),
  );
}

/** Graphs lie in attributes of graphs; real ones nest two or three deep. */
const MAX_DEPTH = 16;

/**
 * Throws when the model keeps data outside of its file: it would make ONNX Runtime read whatever path the file names.
 * External data always have a key called 'location', so that most files are cleared by one search for that word.
 */
export function refuseExternalData(bytes: Uint8Array): void {
  if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes('location')) return;
  const model = readOnnx(bytes);
  checkGraph(model.graph, 0);
  for (const body of model.functions) checkNodes(decodeMessage(functionMessage, body).nodes, 0);
}

function checkGraph(graph: OnnxGraph, depth: number): void {
  if (depth > MAX_DEPTH) throw refused(`The model nests graphs more than ${MAX_DEPTH} deep`);
  graph.initializers.forEach(checkTensor);
  for (const bytes of graph.sparseInitializers) {
    const { values, indices } = decodeMessage(sparseTensorMessage, bytes);
    if (values) checkTensor(values);
    if (indices) checkTensor(indices);
  }
  checkNodes(graph.nodes, depth);
}

function checkNodes(nodes: readonly OnnxNode[], depth: number): void {
  for (const node of nodes) {
    for (const bytes of node.attributes) {
      const { tensor, tensors, graph, graphs } = decodeMessage(attributeMessage, bytes);
      for (const item of tensor ? [tensor, ...tensors] : tensors) checkTensor(item);
      for (const item of graph ? [graph, ...graphs] : graphs)
        checkGraph(decodeMessage(graphMessage, item), depth + 1);
    }
  }
}

function checkTensor(bytes: Uint8Array): void {
  const { dataLocation, externalData, name } = readTensor(bytes);
  if (dataLocation || externalData.length > 0) {
    throw refused(
      `The model keeps ${name ? JSON.stringify(name) : 'a tensor'} in another file: save it as one file (save_as_external_data=False)`,
    );
  }
}
