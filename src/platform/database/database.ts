import type { Kysely } from 'kysely';
import type { Logger } from '../logging.ts';

/**
 * What a command writes and reads with. One transaction: all or nothing.
 *
 * Said so that both dialects understand it alike: times are integers of milliseconds, booleans are 0 and 1, JSON is
 * text, ids are made by the app, text that is sorted is `COLLATE "C"` on PostgreSQL. NaN is stored as NULL (keep an
 * `is_nan` column where it matters); booleans, dates, `undefined` and text with U+0000 are refused as parameters.
 * Integers come back as numbers, and as bigint beyond 2^53. `LIKE` ignores the case of ASCII letters on SQLite only.
 * Never catch a database error inside a command (PostgreSQL has aborted the transaction by then): say `ON CONFLICT`.
 */
export type Tx = Kysely<any>;

export type DialectName = 'sqlite' | 'postgres';

/** A named write, run whole inside one transaction. Input and output must survive structured cloning. */
export interface Command<I, O> {
  name: string;
  run: (tx: Tx, input: I) => Promise<O>;
}

/**
 * Names a write. A slice lists its commands in its `commands.ts`, and `src/commands.ts` collects them: a command that
 * is missing there is refused. On PostgreSQL `run` is repeated after a serialization failure or a deadlock, so it must
 * have no effect but through `tx`.
 */
export function command<I, O>(name: string, run: (tx: Tx, input: I) => Promise<O>): Command<I, O> {
  return { name, run };
}

/** One step of the schema, run once, in a transaction of its own. A merged migration is never edited. */
export interface Migration {
  /** `NNNN-<slice>-<what>`; migrations run in the order of their ids. */
  id: string;
  up(tx: Tx, dialect: DialectName): Promise<void>;
}

/** What `src/commands.ts` exports. */
export interface CommandsModule {
  commands: readonly Command<any, any>[];
  migrations: readonly Migration[];
}

export interface Database {
  readonly dialect: DialectName;
  /** Reads only: SQLite and PostgreSQL both refuse a write on it. Sees every command that was answered before. */
  readonly reader: Kysely<any>;
  /**
   * Runs a command and answers once it is on disk. Errors thrown inside come out as they are (an ApiError with its
   * code and details); a full disk or an unreachable server is TEMPORARILY_UNAVAILABLE, and nothing was changed.
   */
  execute<I, O>(command: Command<I, O>, input: I): Promise<O>;
  /** Waits for what is under way, then closes. A second call does nothing. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** `sqlite:/path/tidemill.db` or `postgres://user:password@host/database`. */
  url: string;
  /** The module that exports `commands` and `migrations`; on SQLite the writer thread loads it. */
  commandsModule: URL;
  logger: Logger;
  /** SQLite: commands that wait in the same turn share one commit. Off: one commit each (for comparison). Default on. */
  groupCommit?: boolean;
  /** SQLite: reader threads; they start when they are needed. Default 2. */
  readers?: number;
  /** SQLite: false runs writer and reader in the caller's thread (tests). Default true. */
  threads?: boolean;
  /** PostgreSQL: connections for commands, and as many again for reads. Default 10. */
  poolSize?: number;
  /** The longest that a command or a read may take, waiting included. Default 30 000. */
  timeoutMs?: number;
  /** Called once when the database can no longer work (its thread died): the process should stop. */
  onFatal?: (error: Error) => void;
}
