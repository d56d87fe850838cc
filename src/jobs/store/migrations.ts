import { sql } from 'kysely';
import type { Migration } from '../../platform/index.ts';

export const jobMigrations: Migration[] = [
  {
    id: '0050-jobs-runs',
    async up(tx, dialect) {
      const text = dialect === 'postgres' ? 'text collate "C"' : 'text';
      const statements = [
        `create table job_counter (only_row integer primary key, sequence bigint not null)`,
        `insert into job_counter (only_row, sequence) values (1, 0)`,
        `create table job_keys (
          flow ${text} not null,
          key ${text} not null,
          run_id ${text} not null,
          primary key (flow, key)
        )`,
        `create table job_runs (
          run_id ${text} primary key,
          sequence bigint not null unique,
          flow ${text} not null,
          key ${text} not null,
          subject ${text} not null,
          input ${text} not null,
          trigger_kind ${text} not null,
          trigger_detail ${text},
          actor ${text} not null,
          status ${text} not null,
          epoch bigint not null,
          holder ${text},
          lease_until bigint,
          wake_at bigint,
          waiting_for ${text},
          output ${text},
          error ${text},
          failed_step ${text},
          log_lines bigint not null,
          created_at bigint not null,
          started_at bigint,
          finished_at bigint,
          work_ms double precision not null
        )`,
        `create index job_runs_by_status on job_runs (status, sequence)`,
        `create index job_runs_by_subject on job_runs (subject, sequence)`,
        `create table job_steps (
          run_id ${text} not null references job_runs (run_id) on delete cascade,
          step ${text} not null,
          position bigint not null,
          kind ${text} not null,
          status ${text} not null,
          attempts bigint not null,
          failures bigint not null,
          interruptions bigint not null,
          result ${text},
          error ${text},
          progress double precision,
          progress_note ${text},
          started_at bigint not null,
          finished_at bigint,
          work_ms double precision not null,
          wake_at bigint,
          question ${text},
          deciders ${text},
          forbid_self integer not null,
          approved integer,
          decided_by ${text},
          decided_at bigint,
          reason ${text},
          primary key (run_id, step)
        )`,
        `create table job_attempts (
          run_id ${text} not null references job_runs (run_id) on delete cascade,
          step ${text} not null,
          attempt bigint not null,
          started_at bigint not null,
          finished_at bigint,
          work_ms double precision,
          outcome ${text},
          error ${text},
          primary key (run_id, step, attempt)
        )`,
        `create table job_log (
          run_id ${text} not null references job_runs (run_id) on delete cascade,
          line bigint not null,
          at bigint not null,
          step ${text} not null,
          attempt bigint not null,
          text ${text} not null,
          primary key (run_id, line)
        )`,
        `create table job_leases (
          name ${text} primary key,
          holder ${text} not null,
          epoch bigint not null,
          lease_until bigint not null
        )`,
      ];
      for (const statement of statements) await sql.raw(statement).execute(tx);
    },
  },
];
