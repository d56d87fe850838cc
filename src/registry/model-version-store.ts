import { ApiError, type Tx } from '../platform/index.ts';
import type { ModelFile, ModelVersion, RegistryDb, RegistryTables, Stage } from './tables.ts';

export interface NewModelVersion {
  name: string;
  description: string;
  userId: string;
  source: string;
  runId: string;
  runLink: string;
  tags: { key: string; value: string }[];
  file: ModelFile;
  heldoutSha256?: string;
  now: number;
  /** The same key again answers the version that it made. */
  idempotencyKey?: string;
}

/** Versions of registered models. Their numbers start at 1 and are never used again. */
export function createModelVersionStore(tx: Tx) {
  const db = tx as RegistryDb;

  async function withDetails(rows: RegistryTables['model_versions'][]): Promise<ModelVersion[]> {
    if (rows.length === 0) return [];
    const names = [...new Set(rows.map((row) => row.name))];
    const [tags, aliases] = await Promise.all([
      db.selectFrom('model_version_tags').selectAll().where('name', 'in', names).orderBy('key').execute(),
      db.selectFrom('model_aliases').selectAll().where('name', 'in', names).orderBy('alias').execute(),
    ]);
    const tagsOf = groupByVersion(tags);
    const aliasesOf = groupByVersion(aliases);
    return rows.map((row) => ({
      name: row.name,
      version: row.version,
      description: row.description,
      userId: row.user_id,
      stage: row.stage as Stage,
      source: row.source,
      runId: row.run_id,
      runLink: row.run_link,
      creationTime: row.creation_time,
      lastUpdatedTime: row.last_updated_time,
      servable: row.servable === 1,
      notServableReason: row.not_servable_reason ?? undefined,
      sha256: row.sha256 ?? undefined,
      sizeBytes: row.size_bytes ?? undefined,
      framework: row.framework ?? undefined,
      task: row.task ?? undefined,
      heldoutSha256: row.heldout_sha256 ?? undefined,
      aliases: (aliasesOf.get(versionKey(row)) ?? []).map(({ alias }) => alias),
      tags: (tagsOf.get(versionKey(row)) ?? []).map(({ key, value }) => ({ key, value })),
    }));
  }

  return {
    withDetails,

    async find(name: string, version: number): Promise<ModelVersion | undefined> {
      const rows = await db
        .selectFrom('model_versions')
        .selectAll()
        .where('name', '=', name)
        .where('version', '=', version)
        .execute();
      return (await withDetails(rows))[0];
    },

    async get(name: string, version: number): Promise<ModelVersion> {
      const found = await this.find(name, version);
      if (!found) {
        throw new ApiError(
          'RESOURCE_DOES_NOT_EXIST',
          `Model Version (name=${name}, version=${version}) not found; to see those there are: tidemill models ${name}`,
        );
      }
      return found;
    },

    /** All versions of a model, the oldest first. */
    async list(name: string): Promise<ModelVersion[]> {
      return withDetails(
        await db
          .selectFrom('model_versions')
          .selectAll()
          .where('name', '=', name)
          .orderBy('version')
          .execute(),
      );
    },

    /** The newest version of each stage, for several models at once, the oldest first. */
    async latestByStage(names: string[], stages?: readonly Stage[]): Promise<ModelVersion[]> {
      if (names.length === 0 || stages?.length === 0) return [];
      let newest = db
        .selectFrom('model_versions')
        .select((eb) => ['name', eb.fn.max('version').as('version')])
        .where('name', 'in', names)
        .groupBy(['name', 'stage']);
      if (stages) newest = newest.where('stage', 'in', [...stages]);
      const rows = await db
        .selectFrom('model_versions')
        .innerJoin(newest.as('newest'), (join) =>
          join
            .onRef('newest.name', '=', 'model_versions.name')
            .onRef('newest.version', '=', 'model_versions.version'),
        )
        .selectAll('model_versions')
        .orderBy('model_versions.name')
        .orderBy('model_versions.version')
        .execute();
      return withDetails(rows);
    },

    async count(): Promise<number> {
      const row = await db
        .selectFrom('model_versions')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow();
      return Number(row.count);
    },

    /** The version that was made by a key, deleted or not. */
    async findByKey(name: string, key: string): Promise<number | undefined> {
      const row = await db
        .selectFrom('model_version_keys')
        .select('version')
        .where('name', '=', name)
        .where('idempotency_key', '=', key)
        .executeTakeFirst();
      return row?.version;
    },

    /** Takes the next number from the model's counter, which also holds back a second version made at once. */
    async create(input: NewModelVersion): Promise<number> {
      const { idempotencyKey: key } = input;
      if (key !== undefined) {
        // The update holds the model's row, so that the look at the key and the insert are one.
        await db
          .updateTable('registered_models')
          .set((eb) => ({ last_version: eb.ref('last_version') }))
          .where('name', '=', input.name)
          .execute();
        const before = await this.findByKey(input.name, key);
        if (before !== undefined) return before;
      }
      const model = await db
        .updateTable('registered_models')
        .set((eb) => ({ last_version: eb('last_version', '+', 1), last_updated_time: input.now }))
        .where('name', '=', input.name)
        .returning('last_version')
        .executeTakeFirst();
      if (!model) {
        throw new ApiError('RESOURCE_DOES_NOT_EXIST', `Registered Model with name=${input.name} not found`);
      }
      const { file } = input;
      await db
        .insertInto('model_versions')
        .values({
          name: input.name,
          version: model.last_version,
          description: input.description,
          user_id: input.userId,
          stage: 'None',
          source: input.source,
          run_id: input.runId,
          run_link: input.runLink,
          creation_time: input.now,
          last_updated_time: input.now,
          servable: file.servable ? 1 : 0,
          not_servable_reason: file.servable ? null : file.reason,
          sha256: file.sha256 ?? null,
          size_bytes: file.sizeBytes ?? null,
          framework: file.servable ? (file.framework ?? null) : null,
          task: file.servable ? (file.task ?? null) : null,
          heldout_sha256: input.heldoutSha256 ?? null,
        })
        .execute();
      if (key !== undefined) {
        await db
          .insertInto('model_version_keys')
          .values({ name: input.name, idempotency_key: key, version: model.last_version })
          .execute();
      }
      for (const tag of input.tags) await this.setTag(input.name, model.last_version, tag);
      return model.last_version;
    },

    async describe(name: string, version: number, description: string, now: number): Promise<void> {
      await db
        .updateTable('model_versions')
        .set({ description, last_updated_time: now })
        .where('name', '=', name)
        .where('version', '=', version)
        .execute();
    },

    async setStage(name: string, version: number, stage: Stage, now: number): Promise<void> {
      await db
        .updateTable('model_versions')
        .set({ stage, last_updated_time: now })
        .where('name', '=', name)
        .where('version', '=', version)
        .execute();
    },

    /** Archives the other versions of a stage. */
    async archiveOthers(name: string, version: number, stage: Stage, now: number): Promise<void> {
      await db
        .updateTable('model_versions')
        .set({ stage: 'Archived', last_updated_time: now })
        .where('name', '=', name)
        .where('version', '<>', version)
        .where('stage', '=', stage)
        .execute();
    },

    /** The newest version in stage Production. */
    async newestInProduction(name: string): Promise<number | undefined> {
      const row = await db
        .selectFrom('model_versions')
        .select('version')
        .where('name', '=', name)
        .where('stage', '=', 'Production')
        .orderBy('version', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row?.version;
    },

    async delete(name: string, version: number): Promise<void> {
      for (const table of ['model_version_tags', 'model_aliases', 'model_versions'] as const) {
        await db.deleteFrom(table).where('name', '=', name).where('version', '=', version).execute();
      }
    },

    async setTag(
      name: string,
      version: number,
      { key, value }: { key: string; value: string },
    ): Promise<void> {
      await db
        .insertInto('model_version_tags')
        .values({ name, version, key, value })
        .onConflict((conflict) => conflict.columns(['name', 'version', 'key']).doUpdateSet({ value }))
        .execute();
    },

    async deleteTag(name: string, version: number, key: string): Promise<void> {
      await db
        .deleteFrom('model_version_tags')
        .where('name', '=', name)
        .where('version', '=', version)
        .where('key', '=', key)
        .execute();
    },
  };
}

const versionKey = (row: { name: string; version: number }) => `${row.version}:${row.name}`;

function groupByVersion<T extends { name: string; version: number }>(rows: T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const key = versionKey(row);
    const group = groups.get(key);
    if (group) group.push(row);
    else groups.set(key, [row]);
  }
  return groups;
}
