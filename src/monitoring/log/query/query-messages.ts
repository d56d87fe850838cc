import type { SharedLog, UserQuery } from '../log-messages.ts';
import type { SentError } from '../sent-error.ts';

/** How a process for users' queries is set up; its first message. */
export interface QuerySetUp {
  /** For this process alone. */
  workFolder: string;
  /** Where copies of the rows lie that no file holds yet. */
  hotFolder: string;
  /** What DuckDB may use where it counts its memory, which it does not everywhere. */
  memoryLimitMb: number;
  /** What the process may hold in all. */
  processLimitMb: number;
  threads: number;
}

/** One query; the process works on one at a time. */
export interface QueryOrder {
  log: SharedLog;
  query: UserQuery;
}

export type FromQueryProcess =
  | { ready: true }
  /** The answer as JSON text, which needs not be read on its way; whether the process has become too large to stay. */
  | { answer: string; isSpent: boolean }
  | { error: SentError; isSpent: boolean }
  /** It holds more than it may, and is to be ended. */
  | { isTooLarge: true };
