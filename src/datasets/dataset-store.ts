import { ApiError, type Tx } from '../platform/index.ts';
import type { Dataset, DatasetDb, DatasetTables, DatasetVersion } from './dataset-tables.ts';

export type NewVersion = Omit<DatasetVersion, 'version'> & {
  /** Refuse (answer `conflict`) unless this is still the newest version: for rows that were added to it. */
  baseVersion?: number;
  /** Rows with the same key are added once. */
  idempotencyKey?: string;
};

export type AddedVersion =
  | { outcome: 'created' | 'existing'; version: DatasetVersion }
  | { outcome: 'conflict'; newest: number };

/** Datasets and their versions. Reads work on any connection, `add` needs a transaction. */
export function createDatasetStore(tx: Tx) {
  const db = tx as DatasetDb;

  async function findVersion(name: string, version: number): Promise<DatasetVersion | undefined> {
    const row = await db
      .selectFrom('dataset_versions')
      .selectAll()
      .where('name', '=', name)
      .where('version', '=', version)
      .executeTakeFirst();
    return row && toVersion(row);
  }

  async function newest(name: string): Promise<number> {
    const row = await db
      .selectFrom('datasets')
      .select('last_version')
      .where('name', '=', name)
      .where('last_version', '>', 0)
      .executeTakeFirst();
    if (!row) throw new ApiError('RESOURCE_DOES_NOT_EXIST', `No dataset ${JSON.stringify(name)}`);
    return row.last_version;
  }

  async function getVersion(name: string, version: number | 'latest'): Promise<DatasetVersion> {
    const last = await newest(name);
    const found = await findVersion(name, version === 'latest' ? last : version);
    if (!found) {
      throw new ApiError(
        'RESOURCE_DOES_NOT_EXIST',
        `Dataset ${JSON.stringify(name)} has no version ${version}; its newest is ${last}`,
      );
    }
    return found;
  }

  async function findByAppendKey(name: string, key: string): Promise<DatasetVersion | undefined> {
    const row = await db
      .selectFrom('dataset_appends')
      .select('version')
      .where('name', '=', name)
      .where('idempotency_key', '=', key)
      .executeTakeFirst();
    return row && findVersion(name, row.version);
  }

  return {
    getVersion,
    findByAppendKey,

    async count(): Promise<number> {
      const row = await db
        .selectFrom('datasets')
        .select(({ fn }) => fn.countAll<number>().as('n'))
        .where('last_version', '>', 0)
        .executeTakeFirstOrThrow();
      return Number(row.n);
    },

    /** Every dataset with its newest version, by name. */
    async list(): Promise<Dataset[]> {
      const rows = await db
        .selectFrom('datasets')
        .innerJoin('dataset_versions', (join) =>
          join
            .onRef('dataset_versions.name', '=', 'datasets.name')
            .onRef('dataset_versions.version', '=', 'datasets.last_version'),
        )
        .selectAll('dataset_versions')
        .select(['datasets.created_at as dataset_created_at', 'datasets.updated_at'])
        .orderBy('datasets.name')
        .execute();
      return rows.map(({ dataset_created_at, updated_at, ...version }) => ({
        name: version.name,
        createdAt: dataset_created_at,
        updatedAt: updated_at,
        versions: version.version,
        latestVersion: toVersion(version),
      }));
    },

    /** Every version of a dataset, newest first. */
    async listVersions(name: string): Promise<DatasetVersion[]> {
      await newest(name);
      const rows = await db
        .selectFrom('dataset_versions')
        .selectAll()
        .where('name', '=', name)
        .orderBy('version', 'desc')
        .execute();
      return rows.map(toVersion);
    },

    /** Adds a version, or answers the one that has the same content. */
    async add({ baseVersion, idempotencyKey, ...given }: NewVersion): Promise<AddedVersion> {
      const { name, createdAt } = given;
      await db
        .insertInto('datasets')
        .values({ name, last_version: 0, created_at: createdAt, updated_at: createdAt })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .execute();
      // The update holds the dataset's row, so that versions are added one after the other.
      const { last_version: last } = await db
        .updateTable('datasets')
        .set((build) => ({ last_version: build.ref('last_version') }))
        .where('name', '=', name)
        .returning('last_version')
        .executeTakeFirstOrThrow();
      if (idempotencyKey !== undefined) {
        const before = await findByAppendKey(name, idempotencyKey);
        if (before) return { outcome: 'existing', version: before };
      }
      if (baseVersion !== undefined && baseVersion !== last) return { outcome: 'conflict', newest: last };
      const same = await db
        .selectFrom('dataset_versions')
        .selectAll()
        .where('name', '=', name)
        .where('digest', '=', given.digest)
        .executeTakeFirst();
      const version = same?.version ?? last + 1;
      if (idempotencyKey !== undefined) {
        await db
          .insertInto('dataset_appends')
          .values({ name, idempotency_key: idempotencyKey, version })
          .execute();
      }
      if (same) return { outcome: 'existing', version: toVersion(same) };
      const row: DatasetTables['dataset_versions'] = {
        name,
        version,
        digest: given.digest,
        row_count: given.rows,
        size_bytes: given.sizeBytes,
        schema: JSON.stringify(given.schema),
        statistics: JSON.stringify(given.statistics),
        source: JSON.stringify(given.source),
        notes: JSON.stringify(given.notes),
        created_at: createdAt,
        created_by: given.createdBy,
      };
      await db.insertInto('dataset_versions').values(row).execute();
      await db
        .updateTable('datasets')
        .set({ last_version: version, updated_at: createdAt })
        .where('name', '=', name)
        .execute();
      return { outcome: 'created', version: toVersion(row) };
    },
  };
}

function toVersion(row: DatasetTables['dataset_versions']): DatasetVersion {
  return {
    name: row.name,
    version: row.version,
    digest: row.digest,
    rows: row.row_count,
    sizeBytes: row.size_bytes,
    schema: JSON.parse(row.schema),
    statistics: JSON.parse(row.statistics),
    source: JSON.parse(row.source),
    notes: JSON.parse(row.notes),
    createdAt: row.created_at,
    createdBy: row.created_by,
  };
}
