export type { Alarm, Span, TestAspect } from './alarms/alarm.ts';
export { createMonitoring, type Monitoring, type MonitoringDeps } from './create-monitoring.ts';
export {
  type PreparedColumn,
  type PreparedReference,
  prepareReference,
  WATCHED_WINDOWS,
} from './drift/prepare-reference.ts';
export { type ColumnTest, testWindow } from './drift/test-window.ts';
export {
  AVERAGE_RUN_LENGTH,
  advanceWatch,
  FRESH_WATCH,
  QUIET_WINDOWS,
  type WatchState,
} from './drift/watch-tests.ts';
export {
  type ComparedVariants,
  createPredictionLog,
  createSignatureReader,
  type ExportedRows,
  type LabelledRequest,
  type LogCounts,
  logRoutes,
  type MeasuredWindow,
  type PredictionLog,
  type PredictionLogDeps,
  type ReadSignature,
} from './log/index.ts';
export {
  DEFAULT_MONITOR_POLICY,
  type MonitorPolicy,
  monitorPolicySchema,
  PERFORMANCE_METRICS,
  type PerformanceMetric,
  policyTimes,
} from './monitor-policy.ts';
export { monitoringRoutes } from './monitoring-routes.ts';
export { type CompareRequest, compareTables } from './report/compare-tables.ts';
export type { ColumnReport, DriftReport, QualityCheck } from './report/report.ts';
export { writeHtml } from './report/write-html.ts';
export { type FoundWindow, findNextWindow, LEAST_ROWS } from './windows/find-due-window.ts';
export { REFERENCE_WINDOWS, skillOf } from './windows/measure-performance.ts';
export { readNewestWatermark } from './windows/profile-entry-store.ts';
