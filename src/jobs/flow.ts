/** What a step knows of itself. */
export interface StepContext {
  /** `run/step`: what a step does elsewhere carries it, so that a second attempt has no second effect. */
  key: string;
  runId: string;
  step: string;
  /** From 1. */
  attempt: number;
  /** Aborted when the attempt takes too long, the run is cancelled or taken over, or the process stops. */
  signal: AbortSignal;
  /** Adds lines to the run's log; they can be read within a quarter of a second. */
  log: (line: string) => void;
  /** How far the step is: a share from 0 to 1. */
  progress: (done: number, note?: string) => void;
}

export interface StepOptions {
  /** Attempts beyond the first. Default 0. What is wrong with the input itself is not tried again. */
  retries?: number;
  /** Pause before the second attempt; it doubles from then on, up to five minutes. Default 1000. */
  backoffMs?: number;
  /** The longest that one attempt may take, in real time. Default one hour. */
  timeoutMs?: number;
}

export interface ApprovalRequest {
  question: string;
  /** Who may decide; without it everybody may. */
  deciders?: string[];
  /** Whoever started the run by hand may not decide. */
  forbidSelf?: boolean;
}

export interface Approval {
  approved: boolean;
  by: string;
  reason?: string;
}

/**
 * What a flow works with. A flow is run from its start after every pause and crash: what a step has answered is told
 * again, not done again. So between its steps a flow only decides, from its input and its steps' results.
 */
export interface FlowContext {
  runId: string;
  /** What the run is about; a model, for retraining. */
  subject: string;
  input: unknown;
  /** How the run came about. */
  trigger: { kind: string; detail?: unknown };
  actor: string;
  /**
   * Does something once: at least once where a process dies in it, so `work` passes `step.key` on. The result must be
   * JSON. Throws what the last attempt threw.
   */
  step: <T>(name: string, options: StepOptions, work: (step: StepContext) => Promise<T>) => Promise<T>;
  /** Waits until the clock tells `ms` (milliseconds since the epoch), across restarts. */
  sleepUntil: (name: string, ms: number) => Promise<void>;
  /** Waits until somebody has decided, across restarts. */
  approval: (name: string, request: ApprovalRequest) => Promise<Approval>;
}

export type Flow = (flow: FlowContext) => Promise<unknown>;

/** The moments at which a test ends the process: a step is begun, it has had its effect, its result is recorded. */
export type CrashPoint = 'before-effect' | 'after-effect' | 'after-record';
