export { finiteFloat, type NamedColumn, type SpecOptions, specOf } from './build-spec.ts';
export type { ColumnCounts } from './column-counts.ts';
export {
  type CodeValues,
  type ColumnValues,
  columnFrom,
  columnOf,
  type NumberValues,
  type TextValues,
  takeRows,
} from './column-values.ts';
export { createWindowedNumbers, type NumberFacts, type WindowedNumbers } from './count-by-window.ts';
export { type CountedSegment, type SegmentColumn, segmentName } from './count-segments.ts';
export { decodeProfile, encodeProfile } from './encode-profile.ts';
export { createProfile, type Profile } from './profile.ts';
export {
  type CategoricalColumn,
  CLASS_COLUMN,
  decodeSpec,
  encodeSpec,
  type NumericColumn,
  type ProfileColumn,
  type ProfileSpec,
  profileSpecSchema,
  SCORE_COLUMN,
} from './profile-spec.ts';
export {
  buildReference,
  decodeReference,
  encodeReference,
  type Reference,
  type ReferencePart,
} from './reference.ts';
