export type { JobsDeps, Operator, StartRequest } from './create-jobs.ts';
export { createJobs, type Jobs } from './create-jobs.ts';
export type {
  Approval,
  ApprovalRequest,
  CrashPoint,
  Flow,
  FlowContext,
  StepContext,
  StepOptions,
} from './flow.ts';
export type { JobRun, JobStep, LogLine, RunFilter } from './run-store.ts';
