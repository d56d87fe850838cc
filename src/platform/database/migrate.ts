import { createHash } from 'node:crypto';
import {
  CompiledQuery,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresQueryCompiler,
  SqliteAdapter,
  SqliteQueryCompiler,
} from 'kysely';
import { ApiError } from '../errors.ts';
import type { DialectName, Migration, Tx } from './database.ts';

interface MigrationRow {
  id: string;
  fingerprint: string;
}

export interface Migrated {
  applied: string[];
  /** Ids whose statements differ from those that ran on this database before. Takes as long as the rest of a start. */
  findEdited: () => Promise<string[]>;
}

/**
 * Brings the schema up to date. `inTransaction` runs its body in one transaction; the caller holds the lock that keeps
 * other processes out. Refuses a database that carries migrations which this program does not know.
 */
export async function migrate(options: {
  db: Tx;
  dialect: DialectName;
  migrations: readonly Migration[];
  inTransaction: (body: (tx: Tx) => Promise<void>) => Promise<void>;
  now: () => number;
  /** Names the database in errors. */
  where: string;
  onApplied?: (id: string) => void;
}): Promise<Migrated> {
  const { db, dialect, inTransaction, now, where } = options;
  const migrations = [...options.migrations].sort((a, b) => (a.id < b.id ? -1 : 1));
  await inTransaction(async (tx) => {
    await tx.executeQuery(
      CompiledQuery.raw(
        'create table if not exists tidemill_migrations (id text primary key, fingerprint text not null, applied_at bigint not null)',
      ),
    );
  });
  const rows = (await db.selectFrom('tidemill_migrations').selectAll().execute()) as MigrationRow[];
  refuseUnknown(rows, migrations, where);

  const recorded = new Map(rows.map((row) => [row.id, row.fingerprint]));
  const applied: string[] = [];
  for (const migration of migrations) {
    if (recorded.has(migration.id)) continue;
    const fingerprint = await fingerprintMigration(migration, dialect);
    await inTransaction(async (tx) => {
      await migration.up(tx, dialect);
      await tx
        .insertInto('tidemill_migrations')
        .values({ id: migration.id, fingerprint, applied_at: now() })
        .execute();
    });
    applied.push(migration.id);
    options.onApplied?.(migration.id);
  }
  return {
    applied,
    async findEdited() {
      const edited: string[] = [];
      for (const migration of migrations) {
        const before = recorded.get(migration.id);
        if (before === undefined) continue;
        if (before !== (await fingerprintMigration(migration, dialect))) edited.push(migration.id);
      }
      return edited;
    },
  };
}

function refuseUnknown(rows: MigrationRow[], migrations: readonly Migration[], where: string): void {
  const known = new Set(migrations.map((each) => each.id));
  const unknown = rows
    .map((row) => row.id)
    .filter((id) => !known.has(id))
    .sort();
  const newest = unknown.at(-1);
  if (newest === undefined) return;
  const last = migrations.at(-1)?.id ?? 'none';
  throw new ApiError(
    'INVALID_STATE',
    newest > last
      ? `${where} was made by a newer Tidemill: its schema is at '${newest}', this version knows up to '${last}'. ` +
          'Run that newer version, or restore a backup made before the upgrade.'
      : `${where} carries the migration '${newest}', which this Tidemill does not have (it was renamed or removed). ` +
          'Run the version that made it, or restore a backup.',
  );
}

/** A hash of the SQL that a migration runs, taken without a database: queries inside `up` see no rows. */
async function fingerprintMigration(migration: Migration, dialect: DialectName): Promise<string> {
  const hash = createHash('sha256');
  const recorder = new Kysely<unknown>({
    dialect: {
      createAdapter: () => (dialect === 'sqlite' ? new SqliteAdapter() : new PostgresAdapter()),
      createDriver: () => new DummyDriver(),
      createIntrospector: () => {
        throw new Error('Migrations do not look at the schema');
      },
      createQueryCompiler: () =>
        dialect === 'sqlite' ? new SqliteQueryCompiler() : new PostgresQueryCompiler(),
    },
    log: (event) => {
      hash.update(JSON.stringify([event.query.sql.replace(/\s+/g, ' '), event.query.parameters.map(String)]));
    },
  });
  try {
    await migration.up(recorder, dialect);
  } catch {
    // A migration may stop for want of rows here; what it ran until then is its fingerprint.
  }
  return hash.digest('hex');
}
