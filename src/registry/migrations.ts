import { sql } from 'kysely';
import type { Migration } from '../platform/index.ts';

export const registryMigrations: Migration[] = [
  {
    id: '0040-registry-models',
    async up(tx, dialect) {
      const text = dialect === 'postgres' ? 'text collate "C"' : 'text';
      const statements = [
        `create table registered_models (
          name ${text} primary key,
          description ${text} not null,
          creation_time bigint not null,
          last_updated_time bigint not null,
          last_version bigint not null
        )`,
        `create table registered_model_tags (
          name ${text} not null,
          key ${text} not null,
          value ${text} not null,
          primary key (name, key)
        )`,
        `create table model_versions (
          name ${text} not null,
          version bigint not null,
          description ${text} not null,
          user_id ${text} not null,
          stage ${text} not null,
          source ${text} not null,
          run_id ${text} not null,
          run_link ${text} not null,
          creation_time bigint not null,
          last_updated_time bigint not null,
          servable integer not null,
          not_servable_reason ${text},
          sha256 ${text},
          size_bytes bigint,
          framework ${text},
          task ${text},
          heldout_sha256 ${text},
          primary key (name, version)
        )`,
        `create index model_versions_by_stage on model_versions (name, stage, version)`,
        `create index model_versions_by_run on model_versions (run_id)`,
        `create table model_version_tags (
          name ${text} not null,
          version bigint not null,
          key ${text} not null,
          value ${text} not null,
          primary key (name, version, key)
        )`,
        `create table model_aliases (
          name ${text} not null,
          alias ${text} not null,
          version bigint not null,
          primary key (name, alias)
        )`,
        `create table champion_moves (
          revision bigint primary key,
          name ${text} not null,
          at bigint not null,
          action ${text} not null,
          from_version bigint,
          to_version bigint,
          below bigint,
          actor ${text} not null,
          reason ${text},
          evidence ${text},
          audit_sequence bigint not null
        )`,
        `create index champion_moves_by_model on champion_moves (name, revision)`,
        `create table serving_revision (only_row integer primary key, revision bigint not null)`,
        `insert into serving_revision (only_row, revision) values (1, 0)`,
      ];
      for (const statement of statements) await sql.raw(statement).execute(tx);
    },
  },
  {
    id: '0091-registry-version-keys',
    async up(tx, dialect) {
      const text = dialect === 'postgres' ? 'text collate "C"' : 'text';
      await sql
        .raw(
          `create table model_version_keys (
            name ${text} not null,
            idempotency_key ${text} not null,
            version bigint not null,
            primary key (name, idempotency_key)
          )`,
        )
        .execute(tx);
    },
  },
];
