export type { AttributeValue, Dimension, TensorValue } from './onnx/build-onnx-graph.ts';
export { ML_DOMAIN, OnnxGraphBuilder } from './onnx/build-onnx-graph.ts';
export { addCategoryCodes, addCategorySets } from './onnx/category-splits.ts';
export type { OnnxModel } from './onnx/onnx-schema.ts';
export type { ValueDescription } from './onnx/read-onnx.ts';
export { hasControlFlow, readOnnx } from './onnx/read-onnx.ts';
export type { Tree, TreeEnsemble } from './onnx/tree-ensemble.ts';
export { addTreeEnsemble } from './onnx/tree-ensemble.ts';
export { parseMoment, type TensorData } from './rows/code-column.ts';
export type { CodedBatch, RawRow, RowCoder } from './rows/code-rows.ts';
export { createRowCoder } from './rows/code-rows.ts';
export type { RecordedExample, RecordedOutputs } from './session/compare-outputs.ts';
export {
  compareOutputs,
  exampleOf,
  OUTPUT_TOLERANCE,
  recordExample,
  recordOutputs,
  verifyExample,
} from './session/compare-outputs.ts';
export type { ModelSession, SessionOptions } from './session/create-session.ts';
export { createSession } from './session/create-session.ts';
export type { BatchOutput, FeatureValues } from './session/read-outputs.ts';
export { FEATURE_PREFIX } from './session/read-outputs.ts';
export type { SampleRow } from './session/try-model.ts';
export { madeUpRow, TRIAL_BATCH_ROWS, tryModel } from './session/try-model.ts';
export type { OnnxDescription } from './signature/describe-onnx.ts';
export { describeOnnx } from './signature/describe-onnx.ts';
export type { InferredSignature, SignatureHints } from './signature/infer-signature.ts';
export { inferSignature } from './signature/infer-signature.ts';
export {
  addMetadata,
  EXAMPLE_KEY,
  FRAMEWORK_KEY,
  PROFILE_KEY,
  readMetadata,
  readSignature,
  SIGNATURE_KEY,
  TRAINING_KEY,
  writeSignature,
} from './signature/read-signature.ts';
export type {
  ClassifierOutput,
  ClassValue,
  ColumnType,
  ElementType,
  GraphInput,
  InputColumn,
  OutputSpec,
  RegressionOutput,
  Signature,
} from './signature/signature.ts';
export { MISSING_DATETIME, MISSING_TEXT, signatureSchema } from './signature/signature.ts';
