export type { AttributeValue, Dimension, TensorValue } from './build-onnx-graph.ts';
export { ML_DOMAIN, OnnxGraphBuilder } from './build-onnx-graph.ts';
export { addCategoryCodes, addCategorySets } from './category-splits.ts';
export { parseMoment, type TensorData } from './code-column.ts';
export type { CodedBatch, RawRow, RowCoder } from './code-rows.ts';
export { createRowCoder } from './code-rows.ts';
export type { RecordedExample, RecordedOutputs } from './compare-outputs.ts';
export {
  compareOutputs,
  exampleOf,
  OUTPUT_TOLERANCE,
  recordExample,
  recordOutputs,
  verifyExample,
} from './compare-outputs.ts';
export type { ModelSession, SessionOptions } from './create-session.ts';
export { createSession } from './create-session.ts';
export type { OnnxDescription } from './describe-onnx.ts';
export { describeOnnx } from './describe-onnx.ts';
export type { InferredSignature, SignatureHints } from './infer-signature.ts';
export { inferSignature } from './infer-signature.ts';
export type { OnnxModel } from './onnx-schema.ts';
export type { ValueDescription } from './read-onnx.ts';
export { hasControlFlow, readOnnx } from './read-onnx.ts';
export type { BatchOutput, FeatureValues } from './read-outputs.ts';
export { FEATURE_PREFIX } from './read-outputs.ts';
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
} from './read-signature.ts';
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
} from './signature.ts';
export { MISSING_DATETIME, MISSING_TEXT, signatureSchema } from './signature.ts';
export type { Tree, TreeEnsemble } from './tree-ensemble.ts';
export { addTreeEnsemble } from './tree-ensemble.ts';
export type { SampleRow } from './try-model.ts';
export { madeUpRow, TRIAL_BATCH_ROWS, tryModel } from './try-model.ts';
