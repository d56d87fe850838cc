import { sql } from 'kysely';
import type { Migration } from '../platform/index.ts';

export const driftMigrations: Migration[] = [
  {
    id: '0065-monitoring-drift',
    async up(tx, dialect) {
      const text = dialect === 'postgres' ? 'text collate "C"' : 'text';
      const real = dialect === 'postgres' ? 'double precision' : 'real';
      const statements = [
        `create table profile_entries (
          model ${text} not null,
          hour bigint not null,
          segment ${text} not null,
          version ${text} not null,
          variant ${text} not null,
          replica ${text} not null,
          incarnation ${text} not null,
          part bigint not null,
          answered bigint not null,
          failed bigint not null,
          latency ${text} not null,
          profile ${text},
          primary key (model, hour, segment, version, variant, replica, incarnation, part)
        )`,
        `create table profile_reporters (
          replica ${text} not null,
          incarnation ${text} not null,
          watermark bigint,
          dropped bigint not null,
          received_at bigint not null,
          primary key (replica, incarnation)
        )`,
        `create table monitor_windows (
          model ${text} not null,
          from_ms bigint not null,
          to_ms bigint not null,
          version ${text} not null,
          row_count bigint not null,
          state ${text} not null,
          note ${text},
          tests ${text},
          closed_at bigint not null,
          late_rows bigint not null,
          performance_state ${text},
          performance ${text},
          performance_at bigint,
          primary key (model, from_ms)
        )`,
        `create table monitor_sequences (
          model ${text} not null,
          kind ${text} not null,
          column_name ${text} not null,
          aspect ${text} not null,
          version ${text} not null,
          log_m ${real},
          runs bigint not null,
          quiet bigint not null,
          alarm_id bigint,
          primary key (model, kind, column_name, aspect)
        )`,
        `create table monitor_alarms (
          id bigint primary key,
          model ${text} not null,
          version ${text} not null,
          kind ${text} not null,
          column_name ${text} not null,
          aspect ${text} not null,
          opened_at bigint not null,
          from_ms bigint not null,
          to_ms bigint not null,
          evidence ${text} not null,
          state ${text} not null,
          told integer not null,
          closed_at bigint,
          closed_by ${text},
          close_reason ${text},
          acknowledged_at bigint,
          acknowledged_by ${text},
          acknowledge_reason ${text}
        )`,
        `create index monitor_alarms_by_model on monitor_alarms (model, id)`,
        `create index monitor_alarms_by_state on monitor_alarms (state, id)`,
        `create table monitor_alarm_counter (only_row integer primary key, last_id bigint not null)`,
        `insert into monitor_alarm_counter (only_row, last_id) values (1, 0)`,
        `create table monitor_outbox (
          id ${text} primary key,
          alarm_id bigint not null,
          url ${text} not null,
          form ${text} not null,
          body ${text} not null,
          attempts bigint not null,
          next_at bigint not null,
          state ${text} not null,
          last_error ${text}
        )`,
        `create index monitor_outbox_due on monitor_outbox (state, next_at)`,
        `create table monitor_baselines (
          model ${text} not null,
          version ${text} not null,
          metric ${text} not null,
          windows ${text} not null,
          primary key (model, version, metric)
        )`,
      ];
      for (const statement of statements) await sql.raw(statement).execute(tx);
    },
  },
  {
    id: '0066-monitoring-segments',
    async up(tx, dialect) {
      const text = dialect === 'postgres' ? 'text collate "C"' : 'text';
      const statements = [
        `alter table monitor_windows add column segments ${text}`,
        `alter table monitor_windows add column window_rule ${text}`,
        `alter table monitor_baselines add column window_rule ${text} not null default ''`,
      ];
      for (const statement of statements) await sql.raw(statement).execute(tx);
    },
  },
  {
    id: '0067-monitoring-alarms-told',
    async up(tx) {
      // The outbox says what is to be told; the column was never read.
      await sql.raw('alter table monitor_alarms drop column told').execute(tx);
    },
  },
];
