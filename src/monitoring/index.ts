export type { Alarm, Span, TestAspect } from './alarm.ts';
export {
  DEFAULT_MONITOR_POLICY,
  type MonitorPolicy,
  monitorPolicySchema,
  PERFORMANCE_METRICS,
  type PerformanceMetric,
  policyTimes,
} from './monitor-policy.ts';
