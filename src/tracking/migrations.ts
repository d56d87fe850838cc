import { sql } from 'kysely';
import type { DialectName, Migration, Tx } from '../platform/index.ts';

/** Text that is compared and sorted by code point on both dialects. */
const textOf = (dialect: DialectName) => (dialect === 'postgres' ? 'text collate "C"' : 'text');

/** The largest tables hold their rows inside the primary key on SQLite, so that a run's history lies together. */
const inKeyOrder = (dialect: DialectName) => (dialect === 'sqlite' ? 'without rowid' : '');

async function run(tx: Tx, statements: string[]): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(tx);
}

export const trackingMigrations: Migration[] = [
  {
    id: '0030-tracking-runs',
    async up(tx, dialect) {
      const text = textOf(dialect);
      await run(tx, [
        `create table experiment_ids (only_row integer primary key, last_id bigint not null)`,
        `insert into experiment_ids (only_row, last_id) values (1, 0)`,
        `create table experiments (
          experiment_id bigint primary key,
          name ${text} not null unique,
          artifact_location ${text} not null,
          lifecycle_stage ${text} not null,
          creation_time bigint not null,
          last_update_time bigint not null
        )`,
        `create table experiment_tags (
          experiment_id bigint not null,
          key ${text} not null,
          value ${text} not null,
          primary key (experiment_id, key)
        )`,
        `create table runs (
          run_id ${text} primary key,
          experiment_id bigint not null,
          run_name ${text} not null,
          user_id ${text} not null,
          status ${text} not null,
          start_time bigint not null,
          end_time bigint,
          artifact_uri ${text} not null,
          lifecycle_stage ${text} not null,
          deleted_time bigint
        )`,
        `create index runs_by_start on runs (experiment_id, lifecycle_stage, start_time desc, run_id)`,
        `create table params (
          run_id ${text} not null,
          key ${text} not null,
          value ${text} not null,
          primary key (run_id, key)
        ) ${inKeyOrder(dialect)}`,
        `create table tags (
          run_id ${text} not null,
          key ${text} not null,
          value ${text} not null,
          primary key (run_id, key)
        ) ${inKeyOrder(dialect)}`,
        `create table metrics (
          run_id ${text} not null,
          key ${text} not null,
          timestamp bigint not null,
          step bigint not null,
          value double precision not null,
          is_nan integer not null,
          primary key (run_id, key, timestamp, step, value, is_nan)
        ) ${inKeyOrder(dialect)}`,
        `create table latest_metrics (
          run_id ${text} not null,
          key ${text} not null,
          value double precision not null,
          timestamp bigint not null,
          step bigint not null,
          is_nan integer not null,
          primary key (run_id, key)
        ) ${inKeyOrder(dialect)}`,
        `create table logged_datasets (
          dataset_id ${text} primary key,
          experiment_id bigint not null,
          name ${text} not null,
          digest ${text} not null,
          source_type ${text} not null,
          source ${text} not null,
          schema ${text},
          profile ${text},
          unique (experiment_id, name, digest)
        )`,
        `create table run_datasets (
          run_id ${text} not null,
          dataset_id ${text} not null,
          primary key (run_id, dataset_id)
        )`,
        `create table run_dataset_tags (
          run_id ${text} not null,
          dataset_id ${text} not null,
          key ${text} not null,
          value ${text} not null,
          primary key (run_id, dataset_id, key)
        )`,
        `create index run_datasets_by_dataset on run_datasets (dataset_id)`,
      ]);
      // The database's own time, since a migration must say the same SQL whenever it runs.
      const now =
        dialect === 'postgres'
          ? `(extract(epoch from now()) * 1000)::bigint`
          : `cast((julianday('now') - 2440587.5) * 86400000 as integer)`;
      await run(tx, [
        `insert into experiments
          (experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time)
          values (0, 'Default', 'mlflow-artifacts:/0', 'active', ${now}, ${now})`,
      ]);
    },
  },
];
