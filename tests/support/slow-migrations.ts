import { sql } from 'kysely';
import type { Migration } from '../../src/platform/index.ts';
import { migrations as notes } from './note-commands.ts';

export { commands } from './note-commands.ts';

/** The second is longer than all migrations may take when one command may take 300 ms, by statements that are short. */
export const migrations: Migration[] = [
  ...notes,
  {
    id: '0901-test-quick',
    up: async (tx) => {
      await sql`select 1`.execute(tx);
    },
  },
  {
    id: '0902-test-slow',
    up: async (tx) => {
      for (let turn = 0; turn < 60; turn++) await sql`select pg_sleep(0.1)`.execute(tx);
    },
  },
];
