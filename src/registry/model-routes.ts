import { z } from 'zod';
import { ApiError, type App, createAuditStore } from '../platform/index.ts';
import { createRunStore, readRuns } from '../tracking/index.ts';
import { createChampionStore } from './champion-store.ts';
import { readVersion } from './check-names.ts';
import * as contract from './contract.ts';
import { createModelVersionStore } from './model-version-store.ts';
import { createRegisteredModelStore } from './registered-model-store.ts';
import type { RegistryDeps } from './registry-deps.ts';
import type { ModelVersion, Move, RegisteredModel } from './tables.ts';

/** Models with what serves and why, the bytes of their versions, and the audit. */
export function modelRoutes({ database, files }: RegistryDeps): (app: App) => void {
  const models = createRegisteredModelStore(database.reader);
  const versions = createModelVersionStore(database.reader);
  const champions = createChampionStore(database.reader);
  const runs = createRunStore(database.reader);
  const audit = createAuditStore(database.reader);

  async function summarise(model: RegisteredModel, all: ModelVersion[]): Promise<contract.ModelSummary> {
    const champion = await champions.find(model.name);
    const serving = champion && all.find(({ version }) => version === champion.version);
    const last = await champions.lastMove(model.name);
    return {
      name: model.name,
      description: model.description || undefined,
      created_at: model.creationTime,
      updated_at: model.lastUpdatedTime,
      versions: all.length,
      latest_version: all.length > 0 ? String(all.at(-1)?.version) : undefined,
      aliases: Object.fromEntries(model.aliases.map(({ alias, version }) => [alias, String(version)])),
      champion:
        champion && serving
          ? {
              version: String(champion.version),
              by: champion.by,
              servable: serving.servable,
              not_servable_reason: serving.notServableReason,
              since: last?.to_version === champion.version ? last.at : undefined,
            }
          : undefined,
    };
  }

  /** The latest metrics of each version's run, by run. */
  async function readMetrics(all: ModelVersion[]): Promise<Map<string, Record<string, number | null>>> {
    const infos = await Promise.all(
      [...new Set(all.map(({ runId }) => runId))].map((runId) => runs.find(runId)),
    );
    const found = await readRuns(
      database.reader,
      infos.filter((info) => info !== undefined),
    );
    return new Map(
      found.map(({ info, metrics }) => [
        info.runId,
        Object.fromEntries(metrics.map(({ key, value }) => [key, Number.isNaN(value) ? null : value])),
      ]),
    );
  }

  return (app) => {
    const tags = ['models'];

    app.get(
      '/api/v1/models',
      {
        schema: {
          tags,
          summary: 'List models with what serves',
          response: { 200: contract.modelListSchema },
        },
      },
      async () => {
        const all = await models.list();
        return {
          models: await Promise.all(
            all.map(async (model) => summarise(model, await versions.list(model.name))),
          ),
        };
      },
    );

    app.get(
      '/api/v1/models/:name',
      {
        schema: {
          tags,
          summary: 'A model with its versions, and the history of what served',
          params: contract.modelParams,
          response: { 200: contract.modelDetailSchema },
        },
      },
      async ({ params: { name } }) => {
        const model = await models.get(name);
        const all = await versions.list(name);
        const metrics = await readMetrics(all);
        return {
          ...(await summarise(model, all)),
          tags: toRecord(model.tags),
          model_versions: all.reverse().map((version) => toDetail(version, metrics.get(version.runId))),
          history: (await champions.history(name)).map(toWireMove),
        };
      },
    );

    app.get(
      '/api/v1/models/:name/history',
      {
        schema: {
          tags,
          summary: 'Who changed what serves, when and why',
          params: contract.modelParams,
          response: { 200: contract.historySchema },
        },
      },
      async ({ params: { name } }) => {
        await models.get(name);
        return { history: (await champions.history(name)).map(toWireMove) };
      },
    );

    app.get(
      '/api/v1/models/:name/versions/:version/model',
      {
        schema: {
          tags,
          summary: "Download a version's ONNX file",
          params: contract.versionParams,
          response: {
            200: { description: 'The file', content: { 'application/octet-stream': { schema: z.any() } } },
          },
        },
        serializerCompiler: () => JSON.stringify,
      },
      async ({ params: { name, version } }, reply) => {
        const wanted = await versions.get(name, readVersion(version));
        const { stream, sizeBytes, sha256 } = await files.openModel(wanted);
        if (sha256 !== wanted.sha256) {
          stream.destroy();
          throw new ApiError(
            'INVALID_STATE',
            `The file of version ${version} of '${name}' is not the one that was registered: ${sha256}, not ${wanted.sha256}`,
          );
        }
        return reply
          .headers({
            'content-type': 'application/octet-stream',
            'content-length': sizeBytes,
            'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(`${name}-${version}.onnx`)}`,
            'x-content-sha256': sha256,
            etag: `"${sha256}"`,
          })
          .send(stream as never);
      },
    );

    app.get(
      '/api/v1/audit',
      {
        schema: {
          tags: ['audit'],
          summary: 'Who did what, why and on which evidence, the newest first',
          querystring: contract.auditQuery,
          response: { 200: contract.auditListSchema },
        },
      },
      async ({ query }) => ({
        entries: (await audit.list(query)).map(({ previousHash, ...entry }) => ({
          ...entry,
          previous_hash: previousHash,
        })),
      }),
    );

    app.get(
      '/api/v1/audit/verify',
      {
        schema: {
          tags: ['audit'],
          summary: "Recompute the audit's hash chain",
          response: { 200: contract.auditVerifySchema },
        },
      },
      async () => {
        const { ok, entries, firstBroken } = await audit.verify();
        return { ok, entries, first_broken: firstBroken };
      },
    );
  };
}

function toDetail(version: ModelVersion, metrics: Record<string, number | null> | undefined) {
  return {
    version: String(version.version),
    created_at: version.creationTime,
    updated_at: version.lastUpdatedTime,
    stage: version.stage,
    aliases: version.aliases,
    run_id: version.runId || undefined,
    source: version.source,
    description: version.description || undefined,
    servable: version.servable,
    not_servable_reason: version.notServableReason,
    sha256: version.sha256,
    size_bytes: version.sizeBytes,
    framework: version.framework,
    task: version.task,
    held_out_sha256: version.heldoutSha256,
    tags: toRecord(version.tags),
    metrics,
  };
}

function toWireMove(move: Move) {
  return {
    revision: move.revision,
    at: move.at,
    action: move.action,
    from: move.from === undefined ? undefined : String(move.from),
    to: move.to === undefined ? undefined : String(move.to),
    actor: move.actor,
    reason: move.reason,
    evidence: move.evidence,
    audit_sequence: move.auditSequence,
  };
}

const toRecord = (tags: { key: string; value: string }[]) =>
  Object.fromEntries(tags.map(({ key, value }) => [key, value]));
