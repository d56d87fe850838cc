import type { StepContext } from '../../jobs/index.ts';
import { ApiError } from '../../platform/index.ts';
import type { PipelineDeps } from '../pipeline-deps.ts';
import { evaluateTraining } from './evaluate-training.ts';
import { createTableIngester } from './ingest-window.ts';
import type { IngestedWindow } from './ingested-window.ts';
import { createTrainingRecorder } from './record-training.ts';
import type { RetrainInput } from './retrain-input.ts';
import type { StepRunner } from './step-tasks.ts';
import { createTrainer, type TrainedModel } from './train-window.ts';

export interface DeliverResult {
  outcome: 'promoted' | 'rollout' | 'refused' | 'unchanged';
  verdict: string;
  summary: string;
  /** The number of delivery's decision: what came of it is asked by it. */
  decision?: number;
  rollout?: string;
  /** What served when it was asked. */
  from?: string;
}

export type RetrainSteps = ReturnType<typeof createRetrainSteps>;

/** The work of each step. All of it is done again when a process dies in it, and has its effect once. */
export function createRetrainSteps(deps: PipelineDeps, runner: StepRunner) {
  const ingester = createTableIngester(deps, runner);
  const trainer = createTrainer(deps, runner);
  const recorder = createTrainingRecorder(deps);

  return {
    ingest: (input: RetrainInput, step: StepContext): Promise<IngestedWindow> => ingester.ingest(input, step),

    /** @throws ApiError INVALID_PARAMETER_VALUE that tells all that is wrong with the rows */
    async validate(input: RetrainInput, window: IngestedWindow, step: StepContext) {
      const { problems, warnings } = await ingester.validate(input, window);
      for (const warning of warnings) step.log(`warning: ${warning}`);
      if (problems.length > 0) {
        const told = problems.map(({ check, message }) => `${check}: ${message}`).join('; ');
        throw new ApiError(
          'INVALID_PARAMETER_VALUE',
          `The rows are not fit to learn from, so nothing was trained: ${told}`,
          { problems },
        );
      }
      step.log(`${window.rows} rows of ${window.dataset}@${window.version} are as they should be`);
      return { warnings };
    },

    async features(input: RetrainInput, window: IngestedWindow, step: StepContext) {
      const { parseFeatures } = await import('../../features/index.ts');
      const { features: written } = input.config;
      if (written === undefined) return { features: [] };
      const schema = await ingester.schemaOf(window);
      const features = parseFeatures(written, schema);
      for (const { name, expression, type } of features) step.log(`${name} = ${expression} (${type})`);
      return { features: features.map(({ name, type, columns }) => ({ name, type, columns })) };
    },

    train: (input: RetrainInput, window: IngestedWindow, step: StepContext): Promise<TrainedModel> =>
      trainer.train(input, window, step),

    async evaluate(_input: RetrainInput, trained: TrainedModel, step: StepContext) {
      const evaluated = evaluateTraining(trained);
      step.log(evaluated.summary);
      return evaluated;
    },

    register: (
      input: RetrainInput,
      window: IngestedWindow,
      trained: TrainedModel,
      step: StepContext,
    ): Promise<{ version: number; runId: string }> => recorder.record(input, window, trained, step),

    async deliver(input: RetrainInput, version: number, step: StepContext): Promise<DeliverResult> {
      const { model, reason } = input;
      const { outcome, decision, rollout, from } = await deps.delivery.promote({
        name: model,
        version,
        actor: 'tidemill',
        reason: `retrained: ${reason}`,
        key: step.key,
        signal: step.signal,
      });
      step.log(`${decision.verdict}: ${decision.summary}`);
      return {
        outcome,
        verdict: decision.verdict,
        summary: decision.summary,
        ...(decision.id !== undefined && { decision: decision.id }),
        ...(rollout !== undefined && { rollout }),
        ...(from !== undefined && { from: String(from) }),
      };
    },
  };
}
