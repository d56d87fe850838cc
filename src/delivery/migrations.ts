import { sql } from 'kysely';
import type { Migration } from '../platform/index.ts';

export const deliveryMigrations: Migration[] = [
  {
    id: '0070-delivery-rollouts',
    async up(tx, dialect) {
      const text = dialect === 'postgres' ? 'text collate "C"' : 'text';
      const statements = [
        `create table gate_looks (
          model ${text} not null,
          evaluation ${text} not null,
          k integer not null,
          question ${text} not null,
          at bigint not null,
          primary key (model, evaluation, k)
        )`,
        `create unique index gate_looks_by_question on gate_looks (model, evaluation, question)`,
        `create table decisions (
          id bigint primary key,
          model ${text} not null,
          at bigint not null,
          kind ${text} not null,
          action ${text} not null,
          version bigint not null,
          champion bigint,
          verdict ${text} not null,
          outcome ${text} not null,
          summary ${text} not null,
          actor ${text} not null,
          reason ${text},
          evidence ${text} not null,
          rollout_id ${text},
          key ${text}
        )`,
        `create index decisions_by_model on decisions (model, id)`,
        `create index decisions_by_rollout on decisions (rollout_id, id)`,
        `create unique index decisions_by_key on decisions (key)`,
        `create table rollouts (
          id ${text} primary key,
          model ${text} not null,
          candidate bigint not null,
          champion bigint not null,
          champion_revision bigint,
          state ${text} not null,
          resume_state ${text},
          step integer not null,
          weight double precision not null,
          gate ${text} not null,
          policy ${text} not null,
          looks ${text} not null,
          evidence ${text},
          note ${text},
          actor ${text} not null,
          reason ${text},
          started_at bigint not null,
          step_started_at bigint not null,
          promoted_at bigint,
          ended_at bigint,
          looked_at bigint,
          epoch bigint not null
        )`,
        `create unique index rollouts_one_at_a_time on rollouts (model)
          where state in ('shadow', 'canary', 'paused')`,
        `create index rollouts_by_state on rollouts (state, model)`,
        `create index rollouts_by_model on rollouts (model, started_at)`,
      ];
      for (const statement of statements) await sql.raw(statement).execute(tx);
    },
  },
  {
    id: '0071-delivery-gains',
    async up(tx, dialect) {
      const text = dialect === 'postgres' ? 'text collate "C"' : 'text';
      const statements = [
        `create table delivery_gains (
          rollout_id ${text} primary key,
          model ${text} not null,
          version bigint not null,
          predecessor bigint not null,
          from_at bigint not null,
          until_at bigint,
          metric ${text},
          difference double precision,
          lo double precision,
          hi double precision,
          alpha double precision,
          rows_labelled bigint not null,
          measured_at bigint,
          settle_at bigint not null,
          is_final integer not null,
          note ${text}
        )`,
        `create index delivery_gains_by_model on delivery_gains (model, from_at)`,
        `create index delivery_gains_open on delivery_gains (settle_at) where is_final = 0`,
      ];
      for (const statement of statements) await sql.raw(statement).execute(tx);
    },
  },
];
