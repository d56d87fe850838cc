import { ApiError, type Tx } from '../platform/index.ts';
import type { RegisteredModel, RegistryDb, RegistryTables } from './tables.ts';

/** Everything that is keyed by a model's name: renaming and deleting a model go through all of it. */
const TABLES_OF_A_MODEL = [
  'registered_model_tags',
  'model_versions',
  'model_version_tags',
  'model_version_keys',
  'model_aliases',
  'champion_moves',
] as const;

/** Registered models, their tags and their aliases. */
export function createRegisteredModelStore(tx: Tx) {
  const db = tx as RegistryDb;

  const notFound = (name: string) =>
    new ApiError('RESOURCE_DOES_NOT_EXIST', `Registered Model with name=${name} not found`);

  async function withDetails(rows: RegistryTables['registered_models'][]): Promise<RegisteredModel[]> {
    if (rows.length === 0) return [];
    const names = rows.map((row) => row.name);
    const [tags, aliases] = await Promise.all([
      db.selectFrom('registered_model_tags').selectAll().where('name', 'in', names).orderBy('key').execute(),
      db.selectFrom('model_aliases').selectAll().where('name', 'in', names).orderBy('alias').execute(),
    ]);
    return rows.map((row) => ({
      name: row.name,
      description: row.description,
      creationTime: row.creation_time,
      lastUpdatedTime: row.last_updated_time,
      tags: tags.filter((tag) => tag.name === row.name).map(({ key, value }) => ({ key, value })),
      aliases: aliases
        .filter((each) => each.name === row.name)
        .map(({ alias, version }) => ({ alias, version })),
    }));
  }

  return {
    withDetails,

    async find(name: string): Promise<RegisteredModel | undefined> {
      const rows = await db.selectFrom('registered_models').selectAll().where('name', '=', name).execute();
      return (await withDetails(rows))[0];
    },

    async get(name: string): Promise<RegisteredModel> {
      const found = await this.find(name);
      if (!found) throw notFound(name);
      return found;
    },

    async list(): Promise<RegisteredModel[]> {
      return withDetails(await db.selectFrom('registered_models').selectAll().orderBy('name').execute());
    },

    async count(): Promise<number> {
      const row = await db
        .selectFrom('registered_models')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow();
      return Number(row.count);
    },

    /** Holds the model's row until the transaction ends, so that moves of one model follow each other. */
    async lock(name: string): Promise<void> {
      const held = await db
        .updateTable('registered_models')
        .set((eb) => ({ last_version: eb.ref('last_version') }))
        .where('name', '=', name)
        .returning('name')
        .executeTakeFirst();
      if (!held) throw notFound(name);
    },

    async create(input: { name: string; description: string; now: number }): Promise<void> {
      const created = await db
        .insertInto('registered_models')
        .values({
          name: input.name,
          description: input.description,
          creation_time: input.now,
          last_updated_time: input.now,
          last_version: 0,
        })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .returning('name')
        .executeTakeFirst();
      if (!created)
        throw new ApiError(
          'RESOURCE_ALREADY_EXISTS',
          `Registered Model (name=${input.name}) already exists.`,
        );
    },

    async touch(name: string, now: number): Promise<void> {
      await db
        .updateTable('registered_models')
        .set({ last_updated_time: now })
        .where('name', '=', name)
        .execute();
    },

    async describe(name: string, description: string, now: number): Promise<void> {
      await db
        .updateTable('registered_models')
        .set({ description, last_updated_time: now })
        .where('name', '=', name)
        .execute();
    },

    async rename(name: string, newName: string, now: number): Promise<void> {
      const taken = await db
        .selectFrom('registered_models')
        .select('name')
        .where('name', '=', newName)
        .executeTakeFirst();
      if (taken)
        throw new ApiError('RESOURCE_ALREADY_EXISTS', `Registered Model (name=${newName}) already exists.`);
      await db
        .updateTable('registered_models')
        .set({ name: newName, last_updated_time: now })
        .where('name', '=', name)
        .execute();
      for (const table of TABLES_OF_A_MODEL) {
        await db.updateTable(table).set({ name: newName }).where('name', '=', name).execute();
      }
      await db
        .updateTable('model_versions')
        .set({ last_updated_time: now })
        .where('name', '=', newName)
        .execute();
    },

    /** The audit keeps what served; a later model of the same name starts without a history. */
    async delete(name: string): Promise<void> {
      for (const table of TABLES_OF_A_MODEL) await db.deleteFrom(table).where('name', '=', name).execute();
      await db.deleteFrom('registered_models').where('name', '=', name).execute();
    },

    async setTag(name: string, { key, value }: { key: string; value: string }): Promise<void> {
      await db
        .insertInto('registered_model_tags')
        .values({ name, key, value })
        .onConflict((conflict) => conflict.columns(['name', 'key']).doUpdateSet({ value }))
        .execute();
    },

    async deleteTag(name: string, key: string): Promise<void> {
      await db.deleteFrom('registered_model_tags').where('name', '=', name).where('key', '=', key).execute();
    },

    async findAlias(name: string, alias: string): Promise<number | undefined> {
      const row = await db
        .selectFrom('model_aliases')
        .select('version')
        .where('name', '=', name)
        .where('alias', '=', alias)
        .executeTakeFirst();
      return row?.version;
    },

    async setAlias(name: string, alias: string, version: number): Promise<void> {
      await db
        .insertInto('model_aliases')
        .values({ name, alias, version })
        .onConflict((conflict) => conflict.columns(['name', 'alias']).doUpdateSet({ version }))
        .execute();
    },

    async deleteAlias(name: string, alias: string): Promise<void> {
      await db.deleteFrom('model_aliases').where('name', '=', name).where('alias', '=', alias).execute();
    },
  };
}
