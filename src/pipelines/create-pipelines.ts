import type { Flow } from '../jobs/index.ts';
import { nextCronTime } from '../jobs/index.ts';
import { ApiError, ConfigError } from '../platform/index.ts';
import { createRegisteredModelStore } from '../registry/index.ts';
import { applyModel, recordSource } from './commands.ts';
import type { PipelineDeps } from './pipeline-deps.ts';
import { createPipelineStore } from './pipeline-store.ts';
import { checkAgainstRows } from './project/check-against-rows.ts';
import { checkSchedule } from './project/check-beside-rows.ts';
import type { LoadedProject } from './project/load-project.ts';
import { monitorPolicySchema } from './project/policy-schemas.ts';
import { type ModelInput, type ModelProject, modelProjectSchema } from './project/project-schema.ts';
import { createRetrainFlow } from './retraining/retrain-flow.ts';
import { RETRAIN_FLOW } from './retraining/retrain-input.ts';
import { createRetrainSteps } from './retraining/retrain-steps.ts';
import type { StepRunner } from './retraining/step-tasks.ts';
import { createSourceKeeper, type KeptSource } from './triggers/source-file.ts';
import { type AskedRetraining, createTriggers, noPipeline } from './triggers/start-retraining.ts';

export type Pipelines = ReturnType<typeof createPipelines>;

/** Source files are looked at this often while the platform runs, in real time. */
const SOURCES_EVERY_MS = 60_000;

/** Projects, when they retrain, and how. */
export function createPipelines(deps: PipelineDeps & { runner: StepRunner }) {
  const { database, artifacts, clock, logger, realNow = () => performance.now() } = deps;
  const store = createPipelineStore(database.reader);
  const sources = createSourceKeeper({ database, artifacts, clock, tempFolder: deps.workFolder });
  const triggers = createTriggers({ ...deps, nextCronTime });
  const flows: Record<string, Flow> = {
    [RETRAIN_FLOW]: createRetrainFlow(createRetrainSteps(deps, deps.runner)),
  };
  let sourcesReadAt = Number.NEGATIVE_INFINITY;
  /** What each model's source file was told to be wrong with. */
  const sourceProblems = new Map<string, string>();

  async function configOf(name: string): Promise<ModelProject | undefined> {
    const model = await store.find(name);
    return model?.active ? modelProjectSchema.parse(model.config) : undefined;
  }

  /** Looks for source files that have changed. One that cannot be read is told once and looked at again. */
  async function readSources(): Promise<boolean> {
    if (realNow() - sourcesReadAt < SOURCES_EVERY_MS) return false;
    sourcesReadAt = realNow();
    let changed = false;
    for (const { name, folder, config } of await store.listActive()) {
      const { data, retrain } = modelProjectSchema.parse(config);
      if (data.path === undefined || !retrain?.on.includes('newData')) continue;
      try {
        const kept = await sources.keep(name, data, folder, { actor: 'tidemill' });
        if (kept.source) await database.execute(recordSource, { name, source: kept.source });
        changed ||= kept.changed;
        sourceProblems.delete(name);
      } catch (error) {
        const message = (error as Error).message;
        if (sourceProblems.get(name) !== message)
          logger.error({ err: error, model: name }, 'the source file cannot be read');
        sourceProblems.set(name, message);
      }
    }
    return changed;
  }

  return {
    flows,

    /**
     * Makes a project what the platform goes by: keeps its source files, then what it says of each model. Models that
     * an earlier state of the same folder named and this one does not are not retrained any more.
     *
     * @throws ConfigError naming the file, the path in it and what is wrong.
     */
    async applyProject(
      { written, project, folder, path }: Pick<LoadedProject, 'written' | 'project' | 'folder' | 'path'>,
      { actor = 'project', signal }: { actor?: string; signal?: AbortSignal } = {},
    ): Promise<{ models: { name: string; changed: boolean }[] }> {
      const kept = new Map<string, KeptSource>();
      for (const [name, config] of Object.entries(project.models)) {
        try {
          checkSchedule(name, config);
          kept.set(name, await sources.keep(name, config.data, folder, { actor, ...(signal && { signal }) }));
          await checkAgainstRows({ ...deps, name, config });
        } catch (error) {
          if (!(error instanceof ApiError) && !(error instanceof ConfigError)) throw error;
          const where = error instanceof ConfigError ? '' : `models.${name}: `;
          throw new ConfigError(`${path}: ${where}${error.message}`);
        }
      }
      const models: { name: string; changed: boolean }[] = [];
      const now = clock.now();
      for (const [name, config] of Object.entries(written.models)) {
        models.push({ name, ...(await database.execute(applyModel, { name, config, folder, actor, now })) });
        const source = kept.get(name)?.source;
        if (source) await database.execute(recordSource, { name, source });
      }
      for (const { name, folder: from } of await store.listActive()) {
        if (from !== folder || name in written.models) continue;
        models.push({
          name,
          ...(await database.execute(applyModel, { name, config: undefined, folder, actor, now })),
        });
      }
      return { models };
    },

    /** The same for one model whose rows are a dataset of the platform: a server reads no paths that a request names. */
    async putModel(
      name: string,
      written: ModelInput,
      config: ModelProject,
      actor: string,
    ): Promise<{ changed: boolean }> {
      try {
        checkSchedule(name, config);
      } catch (error) {
        throw error instanceof ConfigError ? new ApiError('INVALID_PARAMETER_VALUE', error.message) : error;
      }
      await checkAgainstRows({ ...deps, name, config });
      const asked = { folder: '', isAsked: true, actor, now: clock.now() };
      return database.execute(applyModel, { name, config: written, ...asked });
    },

    /** Ends the retraining of a model; its versions stay. */
    async removeModel(name: string, actor: string): Promise<{ changed: boolean }> {
      if (!(await store.find(name))?.active) throw noPipeline(name);
      const asked = { folder: '', isAsked: true, actor, now: clock.now() };
      return database.execute(applyModel, { name, config: undefined, ...asked });
    },

    /** What the project says of how a model is judged, rolled out and counted; undefined for a model that none names. */
    async policyOf(
      name: string,
    ): Promise<
      { gate?: unknown; rollout?: unknown; approve?: unknown; segments?: readonly string[] } | undefined
    > {
      const config = await configOf(name);
      if (config === undefined) return undefined;
      const { gate, rollout, approve, monitor } = config;
      return { gate, rollout, approve, segments: monitor?.segments ?? [] };
    },

    /** How a model is watched; the defaults for one that no project names. */
    async monitorPolicyOf(name: string) {
      return monitorPolicySchema.parse((await configOf(name))?.monitor ?? {});
    },

    configOf,
    nextSchedule: triggers.nextSchedule,
    expectedGain: (name: string) => triggers.expectedGain(name),
    ask: (request: AskedRetraining) => triggers.ask(request),
    decisionsOf: (name: string, limit: number) => store.listDecisions(name, limit),
    listModels: () => store.listActive(),
    findModel: (name: string) => store.find(name),
    isRegistered: async (name: string) =>
      (await createRegisteredModelStore(database.reader).find(name)) !== undefined,
    gainOf: (decisionId: number) => deps.delivery.gainOf(decisionId),
    runsOf: (name: string, limit: number) => deps.jobs().list({ flow: RETRAIN_FLOW, subject: name, limit }),

    /** Starts what is due by the clock. */
    async advance(): Promise<{ didSomething: boolean }> {
      const changed = await readSources();
      const { didSomething } = await triggers.advance();
      return { didSomething: didSomething || changed };
    },
  };
}
