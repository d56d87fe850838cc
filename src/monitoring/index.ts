export type { Alarm, Span, TestAspect } from './alarm.ts';
export { createMonitoring, type Monitoring, type MonitoringDeps } from './create-monitoring.ts';
export {
  type ComparedVariants,
  createPredictionLog,
  createSignatureReader,
  type ExportedRows,
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
export {
  type PreparedColumn,
  type PreparedReference,
  prepareReference,
} from './prepare-reference.ts';
export { readNewestWatermark } from './profile-entry-store.ts';
export { type ColumnTest, testWindow } from './test-window.ts';
export {
  AVERAGE_RUN_LENGTH,
  advanceWatch,
  FRESH_WATCH,
  QUIET_WINDOWS,
  type WatchState,
} from './watch-tests.ts';
