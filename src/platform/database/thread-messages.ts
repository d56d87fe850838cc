import type { EditedLook } from './applied-migrations.ts';
import type { Answer, CommandRequest } from './group-commit.ts';
import { encodeError, type WireError } from './wire-error.ts';

export interface ReadRequest {
  id: number;
  sql: string;
  parameters: readonly unknown[];
}

/** To a thread: work, many requests a message, or the wish to close. */
export type ToThread = CommandRequest[] | ReadRequest[] | 'close';

/** From a thread: it is open (with the migrations it applied), what a look for edited ones found, it could not open, answers, or it has closed. */
export type FromThread =
  | Answer[]
  | { opened: string[] }
  | { looked: EditedLook }
  | { failed: WireError }
  | 'closed';

/** One message for all answers; where one of them cannot be cloned, that one alone becomes an error. */
export function post(port: { postMessage(message: unknown): void }, answers: Answer[]): void {
  try {
    port.postMessage(answers);
  } catch {
    for (const answer of answers) {
      try {
        port.postMessage([answer]);
      } catch (error) {
        port.postMessage([{ id: answer.id, error: encodeError(error) }]);
      }
    }
  }
}
