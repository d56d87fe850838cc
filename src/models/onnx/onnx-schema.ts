import { type Decoded, defineMessage, many, one } from './protobuf-message.ts';

/**
 * The messages of ONNX that we read and write, by the field numbers of the standard's onnx.proto
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). What can be large or can contain itself stays `bytes`,
 * to be decoded when someone asks for it: a node's attributes, a tensor's data, a sequence's element type.
 */

/** TensorProto.DataType. */
export const DATA_TYPE = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
} as const;

export type DataTypeName = keyof typeof DATA_TYPE;

/** AttributeProto.AttributeType. */
export const ATTRIBUTE_TYPE = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
} as const;

export const metadataEntryMessage = defineMessage('StringStringEntryProto', {
  key: one(1, 'string'),
  value: one(2, 'string'),
});

const operatorSetMessage = defineMessage('OperatorSetIdProto', {
  domain: one(1, 'string'),
  version: one(2, 'int64'),
});

const dimensionMessage = defineMessage('Dimension', { value: one(1, 'int64'), parameter: one(2, 'string') });

const tensorTypeMessage = defineMessage('TypeProto.Tensor', {
  elementType: one(1, 'int32'),
  shape: one(2, defineMessage('TensorShapeProto', { dimensions: many(1, dimensionMessage) })),
});

/** A sequence's and an optional's field 1, and a map's field 2, is the TypeProto of what they hold. */
export const typeMessage = defineMessage('TypeProto', {
  tensor: one(1, tensorTypeMessage),
  sequence: one(4, 'bytes'),
  map: one(5, 'bytes'),
  sparseTensor: one(8, 'bytes'),
  optional: one(9, 'bytes'),
});

export const sequenceTypeMessage = defineMessage('TypeProto.Sequence', { element: one(1, 'bytes') });
export const mapTypeMessage = defineMessage('TypeProto.Map', {
  keyType: one(1, 'int32'),
  value: one(2, 'bytes'),
});

export const valueInfoMessage = defineMessage('ValueInfoProto', {
  name: one(1, 'string'),
  type: one(2, typeMessage),
});

export const tensorMessage = defineMessage('TensorProto', {
  dims: many(1, 'int64'),
  dataType: one(2, 'int32'),
  floatData: many(4, 'float'),
  int32Data: many(5, 'int32'),
  stringData: many(6, 'bytes'),
  int64Data: many(7, 'int64'),
  name: one(8, 'string'),
  rawData: one(9, 'bytes'),
  doubleData: many(10, 'double'),
  externalData: many(13, 'bytes'),
  dataLocation: one(14, 'int32'),
});

/** A tensor's name alone: its values are skipped. */
export const tensorNameMessage = defineMessage('TensorProto', { name: one(8, 'string') });

export const attributeMessage = defineMessage('AttributeProto', {
  name: one(1, 'string'),
  float: one(2, 'float'),
  int: one(3, 'int64'),
  string: one(4, 'bytes'),
  tensor: one(5, 'bytes'),
  graph: one(6, 'bytes'),
  floats: many(7, 'float'),
  ints: many(8, 'int64'),
  strings: many(9, 'bytes'),
  tensors: many(10, 'bytes'),
  graphs: many(11, 'bytes'),
  type: one(20, 'int32'),
});

export const attributeNameMessage = defineMessage('AttributeProto', { name: one(1, 'string') });

/** Only the graphs that an attribute holds: the long lists of the others are skipped. */
export const graphAttributeMessage = defineMessage('AttributeProto', {
  graph: one(6, 'bytes'),
  graphs: many(11, 'bytes'),
});

export const nodeMessage = defineMessage('NodeProto', {
  inputs: many(1, 'string'),
  outputs: many(2, 'string'),
  name: one(3, 'string'),
  opType: one(4, 'string'),
  attributes: many(5, 'bytes'),
  domain: one(7, 'string'),
});

export const graphMessage = defineMessage('GraphProto', {
  nodes: many(1, nodeMessage),
  name: one(2, 'string'),
  initializers: many(5, 'bytes'),
  inputs: many(11, valueInfoMessage),
  outputs: many(12, valueInfoMessage),
  sparseInitializers: many(15, 'bytes'),
});

export const sparseTensorMessage = defineMessage('SparseTensorProto', {
  values: one(1, 'bytes'),
  indices: one(2, 'bytes'),
});

export const functionMessage = defineMessage('FunctionProto', {
  name: one(1, 'string'),
  nodes: many(7, nodeMessage),
  domain: one(10, 'string'),
});

const modelFields = {
  irVersion: one(1, 'int64'),
  producerName: one(2, 'string'),
  producerVersion: one(3, 'string'),
  opsets: many(8, operatorSetMessage),
  metadata: many(14, metadataEntryMessage),
  functions: many(25, 'bytes'),
};

export const modelMessage = defineMessage('ModelProto', { ...modelFields, graph: one(7, graphMessage) });
/** A model whose graph is left as bytes: what it says about itself is read without looking at a single node. */
export const modelHeaderMessage = defineMessage('ModelProto', { ...modelFields, graph: one(7, 'bytes') });

export type OnnxModel = Decoded<typeof modelMessage>;
export type OnnxNode = Decoded<typeof nodeMessage>;
export type OnnxValueInfo = Decoded<typeof valueInfoMessage>;
export type OnnxAttribute = Decoded<typeof attributeMessage>;
export type OnnxTensor = Decoded<typeof tensorMessage>;
