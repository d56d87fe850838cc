export {
  type CalendarPart,
  calendarPart,
  calendarParts,
  MS_PER_DAY,
  MS_PER_MINUTE,
} from './calendar.ts';
export { deriveRelation } from './derive-relation.ts';
export { type CalendarWriter, createCalendarWriter } from './graph/write-calendar.ts';
export { createFeatureWriter, type FeatureWriter } from './graph/write-features.ts';
export type { FeatureType, SourceType } from './language/expression.ts';
export { FEATURE_FUNCTIONS, FEATURE_OPERATORS, type FeatureFunction } from './language/feature-functions.ts';
export { type Feature, parseFeatures } from './language/parse-features.ts';
