import type { Flow, FlowContext } from '../../jobs/index.ts';
import { type RetrainInput, retrainInputSchema } from './retrain-input.ts';
import type { DeliverResult, RetrainSteps } from './retrain-steps.ts';

/** How a retraining ended. A refusal by the gate is a result, not a failure. */
export interface RetrainResult {
  outcome: 'promoted' | 'rollout' | 'rejected' | 'not approved' | 'unchanged';
  version?: number;
  summary: string;
  verdict?: string;
  /** The number of delivery's decision. */
  decision?: number;
  rollout?: string;
  from?: string;
  metrics?: Record<string, number>;
  rows?: number;
}

const MINUTE_MS = 60_000;
/** What goes wrong with a database or a disk may be over in a second. */
const RETRY = { retries: 3, backoffMs: 1000 };

/** The steps of a retraining, in their order, with what each is for. */
export const RETRAIN_STEPS = {
  ingest: "puts the window together: the dataset's rows and the labelled rows of the log",
  validate: 'stops when a column, a type or the target is not as it was, or rows are too few',
  features: 'checks the derived columns against the rows',
  train: 'trains, holds the newest rows out, keeps the files',
  evaluate: 'compares the held-out metrics with a guess',
  register: 'records the run and registers the version',
  approve: 'waits for a yes, where the project asks for one',
  deliver: 'asks the gate; then a rollout, or a refusal on record',
} as const;

/** The generated pipeline: ingest, validate, features, train, evaluate, register, deliver. */
export function createRetrainFlow(steps: RetrainSteps): Flow {
  return async (flow: FlowContext): Promise<RetrainResult> => {
    const input: RetrainInput = retrainInputSchema.parse(flow.input);
    const table = await flow.step('ingest', { ...RETRY, timeoutMs: 30 * MINUTE_MS }, (step) =>
      steps.ingest(input, step),
    );
    if (table.unchangedSince !== undefined) {
      return {
        outcome: 'unchanged',
        version: table.unchangedSince,
        summary: `the same rows gave version ${table.unchangedSince}: there is nothing new to learn`,
        rows: table.rows,
      };
    }
    await flow.step('validate', RETRY, (step) => steps.validate(input, table, step));
    await flow.step('features', RETRY, (step) => steps.features(input, table, step));
    const trained = await flow.step('train', { ...RETRY, timeoutMs: 240 * MINUTE_MS }, (step) =>
      steps.train(input, table, step),
    );
    const evaluated = await flow.step('evaluate', RETRY, (step) => steps.evaluate(input, trained, step));
    const { version } = await flow.step('register', RETRY, (step) =>
      steps.register(input, table, trained, step),
    );
    const made = { version, metrics: trained.metrics, rows: table.rows };
    const { approve } = input.config;
    if (approve !== undefined && approve !== false) {
      const answer = await flow.approval('approve', {
        question: `Let version ${version} of ${input.model} go to the gate? ${evaluated.summary}`,
        ...(Array.isArray(approve) && { deciders: approve }),
        forbidSelf: true,
      });
      if (!answer.approved) {
        const why = answer.reason === undefined ? '' : `: ${answer.reason}`;
        return { ...made, outcome: 'not approved', summary: `${answer.by} said no${why}` };
      }
    }
    const delivered = await flow.step('deliver', { ...RETRY, timeoutMs: 30 * MINUTE_MS }, (step) =>
      steps.deliver(input, version, step),
    );
    return { ...made, ...toResult(delivered) };
  };
}

function toResult(delivered: DeliverResult): RetrainResult {
  const { outcome, verdict, summary, decision, rollout, from } = delivered;
  return {
    outcome: outcome === 'refused' ? 'rejected' : outcome === 'rollout' ? 'rollout' : 'promoted',
    verdict,
    summary,
    ...(decision !== undefined && { decision }),
    ...(rollout !== undefined && { rollout }),
    ...(from !== undefined && { from }),
  };
}
