export {
  type CalendarPart,
  calendarPart,
  calendarParts,
  MS_PER_DAY,
  MS_PER_MINUTE,
} from './calendar.ts';
export { deriveRelation } from './derive-relation.ts';
export type { FeatureType, SourceType } from './expression.ts';
export { FEATURE_FUNCTIONS, FEATURE_OPERATORS, type FeatureFunction } from './feature-functions.ts';
export { type Feature, parseFeatures } from './parse-features.ts';
export { type CalendarWriter, createCalendarWriter } from './write-calendar.ts';
export { createFeatureWriter, type FeatureWriter } from './write-features.ts';
