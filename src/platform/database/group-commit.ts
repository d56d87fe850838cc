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

/** How often a group is run again without the command that made SQLite undo the whole transaction. */
const MOST_RETRIES = 3;

/**
 * Runs commands in one transaction, each in a savepoint of its own, and answers only after the commit: a command that
 * throws undoes itself alone. One that fills the disk makes SQLite undo the whole transaction: the others then run
 * again without it. A commit that fails fails them all, and the next group is tried afresh.
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
    let output: unknown;
    try {
      output = await findCommand(request.name).run(tx, request.input);
    } catch (error) {
      if (connection.db.isTransaction) {
        exec('rollback to command');
        exec('release command');
      }
      return { id: request.id, error: encodeError(error) };
    }
    if (!connection.db.isTransaction)
      throw new Error(`'${request.name}' ended the transaction that it runs in`);
    exec('release command');
    return { id: request.id, output };
  }

  async function runGroup(requests: readonly CommandRequest[], retries = MOST_RETRIES): Promise<Answer[]> {
    const answers: Answer[] = [];
    const failAll = (error: WireError) =>
      requests.map((request, i) => (answers[i]?.error ? answers[i] : { id: request.id, error }));
    try {
      exec('begin immediate');
      for (const request of requests) {
        const answer = await runInSavepoint(request);
        answers.push(answer);
        if (connection.db.isTransaction) continue;
        if (retries === 0) return failAll(answer.error as WireError);
        const others = requests.filter((each) => each !== request);
        return [answer, ...(await runGroup(others, retries - 1))];
      }
      exec('commit');
      return answers;
    } catch (error) {
      try {
        if (connection.db.isTransaction) exec('rollback');
      } catch {
        // The first error says more, and the next group's BEGIN reports what remains wrong.
      }
      return failAll(encodeError(error));
    }
  }

  return (requests) => (requests.length === 0 ? Promise.resolve([]) : runGroup(requests));
}
