import { randomUUID, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { describeGain, type Gain } from '../delivery/index.ts';
import { ApiError, type App, type Clock, ConfigError } from '../platform/index.ts';
import * as contract from './contract.ts';
import type { Pipelines } from './create-pipelines.ts';
import { type Explanation, explainRetraining } from './explain-retraining.ts';
import type { JobSummary } from './pipeline-deps.ts';
import { checkProject } from './project/check-project.ts';
import { durationMs } from './project/policy-schemas.ts';
import { type ModelInput, modelProjectSchema } from './project/project-schema.ts';
import { RETRAIN_STEPS, type RetrainResult } from './retraining/retrain-flow.ts';
import type { Decision } from './tables.ts';
import { describeCause } from './triggers/describe-cause.ts';
import { describeExpectedGain, type GainEstimate } from './triggers/estimate-gain.ts';
import { cooldownUntil } from './triggers/find-causes.ts';
import { noPipeline } from './triggers/start-retraining.ts';

export interface PipelineRouteDeps {
  pipelines: Pipelines;
  clock: Clock;
  /** What other slices say of a model. */
  explainers: ((model: string) => Promise<Explanation[]> | Explanation[])[];
  /** When it is set, who asks for a retraining shows it: `Authorization: Bearer …`. */
  triggerToken?: string | undefined;
}

const SHOWN = 20;
const tags = ['pipelines'];

/** Projects, when their models are retrained and why, and asking for it. */
export function pipelineRoutes(deps: PipelineRouteDeps): (app: App) => void {
  const { pipelines, clock, explainers, triggerToken } = deps;

  async function showRun(run: JobSummary) {
    const { decision } = (run.output ?? {}) as Partial<RetrainResult>;
    return toWireRun(run, decision === undefined ? undefined : await pipelines.gainOf(decision));
  }

  async function showPipeline(name: string) {
    const model = await pipelines.findModel(name);
    if (model === undefined) throw noPipeline(name);
    const config = modelProjectSchema.parse(model.config);
    const [decisions, runs, nextAt] = await Promise.all([
      pipelines.decisionsOf(name, SHOWN),
      pipelines.runsOf(name, SHOWN),
      model.active ? pipelines.nextSchedule(model, config) : undefined,
    ]);
    const last = decisions.find(({ outcome }) => outcome === 'started');
    const until = cooldownUntil(last, durationMs(config.retrain?.cooldown ?? '0s'), clock.now());
    return {
      name,
      config: hideSecrets(model.config),
      folder: model.folder,
      active: model.active,
      steps: Object.entries(RETRAIN_STEPS).map(([step, meaning]) => ({ name: step, meaning })),
      ...(nextAt !== undefined && { next_scheduled_at: nextAt }),
      ...(until !== undefined && { cooldown_until: until }),
      decisions: decisions.map(toWireDecision),
      runs: await Promise.all(runs.map(showRun)),
    };
  }

  return (app) => {
    app.get(
      '/api/v1/project',
      {
        schema: {
          tags,
          summary: 'What projects say of their models',
          response: { 200: contract.projectResponse },
        },
      },
      async () => ({
        models: (await pipelines.listModels()).map(({ name, config, folder, appliedAt }) => ({
          name,
          config: hideSecrets(config),
          folder,
          applied_at: appliedAt,
        })),
      }),
    );

    app.get(
      '/api/v1/models/:name/pipeline',
      {
        schema: {
          tags,
          summary: 'How a model is retrained: what the project says, when next, what was decided, last runs',
          params: contract.modelParams,
          response: { 200: contract.pipelineResponse },
        },
      },
      ({ params }) => showPipeline(params.name),
    );

    app.put(
      '/api/v1/models/:name/pipeline',
      {
        schema: {
          tags,
          summary: "Say how a model is trained, judged, rolled out and watched; its rows are a dataset's",
          params: contract.modelParams,
          body: z.record(z.string(), z.unknown()),
          response: { 200: contract.putPipelineResponse },
        },
      },
      async ({ params: { name }, body, actor }) => {
        const config = checkModel(name, body);
        return { name, ...(await pipelines.putModel(name, body as ModelInput, config, actor)) };
      },
    );

    app.delete(
      '/api/v1/models/:name/pipeline',
      {
        schema: {
          tags,
          summary: 'Retrain a model no more; its versions stay',
          params: contract.modelParams,
          response: { 200: contract.putPipelineResponse },
        },
      },
      async ({ params: { name }, actor }) => ({ name, ...(await pipelines.removeModel(name, actor)) }),
    );

    app.post(
      '/api/v1/models/:name/retrain',
      {
        schema: {
          tags,
          summary: 'Start a retraining',
          params: contract.modelParams,
          body: contract.retrainRequest,
          response: { 200: contract.retrainResponse },
        },
        // Nothing in the body has to be said, so none is as good as an empty one.
        preValidation: (request, _reply, done) => {
          request.body ??= {} as never;
          done();
        },
      },
      async ({ params: { name }, body, actor, headers }) => {
        if (triggerToken !== undefined) checkToken(headers.authorization, triggerToken);
        const decision = await pipelines.ask({
          model: name,
          kind: body.trigger,
          reason: body.reason?.trim() || undefined,
          actor,
          key: body.idempotency_key ?? randomUUID(),
        });
        return { name, run_id: decision.runId as string, why: describeCause(decision) };
      },
    );

    app.get(
      '/api/v1/models/:name/explain',
      {
        schema: {
          tags,
          summary: 'Every threshold, default and formula that decides about a model',
          params: contract.modelParams,
          response: { 200: contract.explainResponse },
        },
      },
      async ({ params: { name } }) => {
        const model = await pipelines.findModel(name);
        if (model === undefined && !(await pipelines.isRegistered(name))) {
          throw new ApiError(
            'RESOURCE_DOES_NOT_EXIST',
            `No model ${JSON.stringify(name)}: neither the registry nor a project knows it; to see those there are: tidemill models`,
          );
        }
        const config = model?.active ? modelProjectSchema.parse(model.config) : undefined;
        const own = explainRetraining(name, config, model?.config, {
          expectedGain: await pipelines.expectedGain(name),
          lastHeldBack: (await pipelines.decisionsOf(name, 1)).find(isHeldBack),
        });
        const others = await Promise.all(explainers.map(async (explain) => explain(name)));
        const entries = [...others.flat(), ...own];
        return {
          name,
          entries: entries.map(({ isDefault, ...entry }) => ({ ...entry, is_default: isDefault })),
        };
      },
    );
  };
}

/** A model of a request, checked as in a project file. */
function checkModel(name: string, body: Record<string, unknown>) {
  try {
    const config = checkProject({ models: { [name]: body } }, 'the request').models[name];
    if (config === undefined) throw new ConfigError(`models.${name} is missing`);
    if (config.data.path !== undefined) {
      throw new ConfigError(
        `models.${name}.data.path is ${JSON.stringify(config.data.path)}: a server reads no files that a request names. Upload it as a dataset and name that in data.dataset`,
      );
    }
    return config;
  } catch (error) {
    throw error instanceof ConfigError ? new ApiError('INVALID_PARAMETER_VALUE', error.message) : error;
  }
}

function checkToken(header: string | undefined, token: string): void {
  const given = Buffer.from(/^Bearer (.+)$/.exec(header ?? '')?.[1] ?? '');
  const wanted = Buffer.from(token);
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    throw new ApiError(
      'PERMISSION_DENIED',
      'A retraining is asked for with the trigger token: Authorization: Bearer TOKEN (TIDEMILL_TRIGGER_TOKEN)',
    );
  }
}

/** Addresses of webhooks often hold a secret in their path. */
function hideSecrets(config: unknown): Record<string, unknown> {
  const copy = structuredClone(config) as { monitor?: { webhooks?: { url?: unknown }[] } };
  for (const webhook of copy.monitor?.webhooks ?? []) {
    if (typeof webhook.url === 'string' && URL.canParse(webhook.url)) {
      webhook.url = `${new URL(webhook.url).origin}/…`;
    }
  }
  return copy as Record<string, unknown>;
}

/** A cause was weighed and found too light, and nothing was decided since. */
const isHeldBack = ({ outcome, detail }: Decision): boolean =>
  outcome === 'skipped' && detail['expected_gain'] !== undefined;

function toWireDecision(decision: Decision) {
  const { at, kind, detail, outcome, reason, runId, actor } = decision;
  return {
    at,
    cause: kind,
    why: describeCause(decision),
    detail,
    outcome,
    ...(reason !== undefined && { reason }),
    ...(detail['expected_gain'] !== undefined && {
      expected_gain: describeExpectedGain(detail['expected_gain'] as GainEstimate),
    }),
    ...(runId !== undefined && { run_id: runId }),
    actor,
  };
}

function toWireRun(
  { runId, status, createdAt, finishedAt, output, error }: JobSummary,
  gain: Gain | undefined,
) {
  const result = (output ?? undefined) as RetrainResult | undefined;
  const problem = (error as { message?: string } | undefined)?.message;
  return {
    run_id: runId,
    status,
    created_at: createdAt,
    ...(finishedAt !== undefined && { finished_at: finishedAt }),
    ...(result !== undefined && { outcome: result.outcome, summary: result.summary }),
    ...(result?.version !== undefined && { version: String(result.version) }),
    ...(problem !== undefined && { error: problem }),
    ...(gain !== undefined && { gained: toWireGain(gain) }),
  };
}

function toWireGain(gain: Gain) {
  const { metric, difference, lo, hi, rows, isFinal } = gain;
  return {
    ...(metric !== undefined && { metric }),
    ...(difference !== undefined && { difference }),
    ...(lo !== undefined && { low: lo }),
    ...(hi !== undefined && { high: hi }),
    rows,
    is_final: isFinal,
    summary: describeGain(gain),
  };
}
