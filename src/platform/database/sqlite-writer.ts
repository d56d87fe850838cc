import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely } from 'kysely';
import { indexCommands, loadCommandsModule } from './commands-module.ts';
import { type LockHolder, lockDatabaseFile } from './file-lock.ts';
import { createGroupCommit } from './group-commit.ts';
import { migrate } from './migrate.ts';
import { createSqliteConnection } from './sqlite-connection.ts';
import { createSqliteDialect } from './sqlite-dialect.ts';

export interface WriterOptions {
  path: string;
  commandsModule: string;
  groupCommit: boolean;
  holder: LockHolder;
}

/** Locks, opens and migrates the database file. Synchronous underneath: commands run one after the other. */
export async function openSqliteWriter(options: WriterOptions) {
  mkdirSync(dirname(options.path), { recursive: true });
  const lock = lockDatabaseFile(options.path, options.holder);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(options.path, { timeout: 5000, enableForeignKeyConstraints: true });
    db.exec('pragma journal_mode = wal; pragma synchronous = full; pragma temp_store = memory');
    db.exec(
      'pragma cache_size = -8192; pragma journal_size_limit = 67108864; pragma wal_autocheckpoint = 4000',
    );
    const connection = createSqliteConnection(db);
    const tx = new Kysely<any>({
      dialect: createSqliteDialect((sql, parameters) => connection.run(sql, parameters)),
    });
    const module = await loadCommandsModule(options.commandsModule);
    const migrations = await migrate({
      db: tx,
      dialect: 'sqlite',
      migrations: module.migrations,
      inTransaction: async (body) => {
        connection.run('begin immediate', []);
        try {
          await body(tx);
          connection.run('commit', []);
        } catch (error) {
          if (connection.db.isTransaction) connection.run('rollback', []);
          throw error;
        }
      },
      now: Date.now,
      where: `The data folder ${dirname(options.path)}`,
    });
    const opened = db;
    return {
      migrations,
      runGroup: createGroupCommit({ connection, tx, findCommand: indexCommands(module) }),
      close() {
        connection.clear();
        opened.close();
        lock.release();
      },
    };
  } catch (error) {
    db?.close();
    lock.release();
    throw error;
  }
}
