export type { Operator, StartRequest } from './create-jobs.ts';
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
export { jobRoutes } from './job-routes.ts';
export { acquireLoopLease, type LoopLease, type LoopLeaseOptions } from './loop-lease.ts';
export { checkCron, nextCronTime } from './next-cron-time.ts';
export { type HandlerContext, type StepHandler, serveSteps } from './processes/serve-steps.ts';
export { createStepWorkers, type StepWorkers, type StepWorkersOptions } from './processes/step-workers.ts';
export type { JobsDeps } from './run-pool.ts';
export type { JobRun, JobStep, LogLine, RunFilter } from './store/run-store.ts';
