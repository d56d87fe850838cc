import { appendAudit, type Command, canonicalJson, command, type Tx } from '../platform/index.ts';
import { createChampionStore } from '../registry/index.ts';
import { createPipelineStore, type NewDecision } from './pipeline-store.ts';
import { checkApproveChange } from './project/check-approve-change.ts';
import type { Decision, PipelineModel } from './tables.ts';

export { pipelineMigrations } from './migrations.ts';

export interface ApplyModel {
  name: string;
  /** The model as the project file has it; undefined when the project does not name it any more. */
  config: unknown;
  folder: string;
  /** By a request, and not by the folder that the server was started with: it does not change who approves as anybody. */
  isAsked?: boolean;
  actor: string;
  now: number;
}

/** Keeps what a project says of a model; audited when it says something else than before. */
export const applyModel = command(
  'pipelines.applyModel',
  async (
    tx,
    { name, config, folder, isAsked = false, actor, now }: ApplyModel,
  ): Promise<{ changed: boolean }> => {
    const store = createPipelineStore(tx);
    const before = await store.find(name);
    const was = before?.active ? before.config : undefined;
    if (isAsked) {
      const appliedBy = await lastApplier(tx, name);
      checkApproveChange(name, { was, is: config, actor, appliedBy });
    }
    if (config === undefined) {
      if (!before?.active) return { changed: false };
      await store.deactivate(name, now);
    } else {
      const same = was !== undefined && canonicalJson(was) === canonicalJson(config);
      if (same && before?.folder === folder) return { changed: false };
      await store.put({ name, config: JSON.stringify(config), folder, now });
      if (same) return { changed: false };
    }
    await appendAudit(tx, {
      at: now,
      actor,
      action: config === undefined ? 'project.remove-model' : 'project.apply-model',
      subject: `models/${name}`,
      evidence: { before: was ?? null, after: config ?? null },
    });
    // Model servers hear of the segments with what they serve.
    if (segmentsOf(was) !== segmentsOf(config)) await createChampionStore(tx).bumpRevision();
    return { changed: true };
  },
);

async function lastApplier(tx: Tx, name: string): Promise<string | undefined> {
  const last = await tx
    .selectFrom('audit_entries')
    .select('actor')
    .where('subject', '=', `models/${name}`)
    .where('action', '=', 'project.apply-model')
    .orderBy('sequence', 'desc')
    .limit(1)
    .executeTakeFirst();
  return last?.['actor'] as string | undefined;
}

const segmentsOf = (config: unknown): string =>
  canonicalJson((config as { monitor?: { segments?: unknown } } | undefined)?.monitor?.segments ?? []);

/** Keeps which state of the source file was registered. */
export const recordSource = command(
  'pipelines.recordSource',
  (tx, { name, source }: { name: string; source: NonNullable<PipelineModel['source']> }) =>
    createPipelineStore(tx).setSource(name, source),
);

/** Moves the time after which a schedule is due. */
export const passSchedule = command(
  'pipelines.passSchedule',
  (tx, { name, at }: { name: string; at: number }) => createPipelineStore(tx).setScheduleAfter(name, at),
);

/**
 * Records that a cause starts a retraining, unless another one was decided since the caller looked: two replicas may
 * look at the same moment. `seen` is the newest that the caller knows of; its run has ended. Undefined: look again.
 */
export const startRetraining = command(
  'pipelines.startRetraining',
  async (tx, input: { decision: NewDecision; seen: number | undefined }): Promise<Decision | undefined> => {
    const store = createPipelineStore(tx);
    const { decision, seen } = input;
    await store.lockModel(decision.model);
    const last = await store.lastStarted(decision.model);
    return last?.sequence === seen ? store.decide(decision) : undefined;
  },
);

/** Records why a cause did not start a retraining; in the audit too where the cause was weighed and found too light. */
export const recordDecision = command(
  'pipelines.recordDecision',
  async (tx, { isAudited, ...decision }: NewDecision & { isAudited?: boolean }): Promise<Decision> => {
    const { model, at, actor, kind, detail, reason } = decision;
    const kept = await createPipelineStore(tx).decide(decision);
    if (isAudited) {
      await appendAudit(tx, {
        at,
        actor,
        action: 'retraining.held-back',
        subject: `models/${model}`,
        ...(reason !== undefined && { reason }),
        evidence: { cause: kind, ...detail },
      });
    }
    return kept;
  },
);

/** Keeps which run a decision has started. */
export const attachRun = command(
  'pipelines.attachRun',
  (tx, { key, runId }: { key: string; runId: string }) => createPipelineStore(tx).attachRun(key, runId),
);

export const pipelineCommands: Command<any, any>[] = [
  applyModel,
  recordSource,
  passSchedule,
  recordDecision,
  startRetraining,
  attachRun,
];
