import { sql } from 'kysely';
import type { Migration } from '../platform/index.ts';

export const pipelineMigrations: Migration[] = [
  {
    id: '0080-pipelines-projects',
    async up(tx, dialect) {
      const text = dialect === 'postgres' ? 'text collate "C"' : 'text';
      const statements = [
        `create table pipeline_models (
          name ${text} primary key,
          config ${text} not null,
          folder ${text} not null,
          active integer not null,
          applied_at bigint not null,
          schedule_after bigint not null,
          source_path ${text},
          source_stamp ${text},
          source_sha256 ${text}
        )`,
        `create table pipeline_decisions (
          decision_key ${text} primary key,
          sequence bigint not null,
          model ${text} not null,
          at bigint not null,
          kind ${text} not null,
          detail ${text} not null,
          actor ${text} not null,
          outcome ${text} not null,
          reason ${text},
          run_id ${text},
          dataset_version bigint,
          labelled_rows bigint
        )`,
        `create index pipeline_decisions_by_model on pipeline_decisions (model, sequence)`,
        `create table pipeline_counter (only_row integer primary key, sequence bigint not null)`,
        `insert into pipeline_counter (only_row, sequence) values (1, 0)`,
      ];
      for (const statement of statements) await sql.raw(statement).execute(tx);
    },
  },
];
