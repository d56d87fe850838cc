import type { Command, Tx } from './database.ts';
import type { SqliteConnection } from './sqlite-connection.ts';
import { encodeError, type WireError } from './wire-error.ts';

export interface CommandRequest {
  id: number;
  name: string;
  input: unknown;
}

export interface Answer {
  id: number;
  output?: unknown;
  error?: WireError;
}

/**
 * Runs commands in one transaction, each in a savepoint of its own, and answers only after the commit: a command that
 * throws undoes itself alone; a commit that fails (full disk) fails them all, and the next group is tried afresh.
 */
export function createGroupCommit(options: {
  connection: SqliteConnection;
  tx: Tx;
  findCommand: (name: string) => Command<unknown, unknown>;
}): (requests: readonly CommandRequest[]) => Promise<Answer[]> {
  const { connection, tx, findCommand } = options;
  const exec = (sql: string) => connection.run(sql, []);

  async function runInSavepoint(request: CommandRequest): Promise<Answer> {
    exec('savepoint command');
    try {
      const output = await findCommand(request.name).run(tx, request.input);
      if (!connection.db.isTransaction)
        throw new Error(`'${request.name}' ended the transaction that it runs in`);
      exec('release command');
      return { id: request.id, output };
    } catch (error) {
      // After a full disk or an I/O error SQLite itself has undone the whole transaction.
      if (connection.db.isTransaction) {
        exec('rollback to command');
        exec('release command');
      }
      return { id: request.id, error: encodeError(error) };
    }
  }

  return async function runGroup(requests) {
    const answers: Answer[] = [];
    const failAll = (error: WireError | undefined) => {
      for (const [i, request] of requests.entries()) {
        if (answers[i]?.error === undefined) answers[i] = { id: request.id, error: error as WireError };
      }
    };
    try {
      exec('begin immediate');
      for (const request of requests) {
        const answer = await runInSavepoint(request);
        answers.push(answer);
        if (connection.db.isTransaction) continue;
        failAll(answer.error);
        return answers;
      }
      exec('commit');
    } catch (error) {
      failAll(encodeError(error));
      try {
        if (connection.db.isTransaction) exec('rollback');
      } catch {
        // The first error says more, and the next group's BEGIN reports what remains wrong.
      }
    }
    return answers;
  };
}
