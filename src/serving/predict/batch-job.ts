import { ApiError } from '../../platform/index.ts';
import type { AnsweredPart, InputRow, RowAnswers } from './join-answers.ts';

/** A request, while its rows wait and run. */
export interface Job<Context> {
  context: Context;
  rows: InputRow[];
  /** Rows handed to a run so far, and rows answered so far. */
  taken: number;
  answered: number;
  parts: AnsweredPart[];
  answers: RowAnswers | undefined;
  limitMs: number;
  deadline: number;
  isGone: (() => boolean) | undefined;
  isDone: boolean;
  resolve: (answers: RowAnswers) => void;
  reject: (error: Error) => void;
}

/** Rows of a request that share a run. */
export interface Part<Context> {
  job: Job<Context>;
  from: number;
  count: number;
}

export function rowsOf(parts: Part<unknown>[]): InputRow[] {
  const rows: InputRow[] = [];
  for (const { job, from, count } of parts) {
    if (count === job.rows.length) for (const row of job.rows) rows.push(row);
    else for (let i = from; i < from + count; i++) rows.push(job.rows[i] as InputRow);
  }
  return rows;
}

export function timedOut(timeoutMs: number): ApiError {
  return new ApiError(
    'TEMPORARILY_UNAVAILABLE',
    `No answer within ${timeoutMs} ms; the server is busy, try again`,
  );
}

/** The whole runner is away, so that running again would only fail again. */
export function passesByItself(error: unknown): boolean {
  return error instanceof ApiError && error.code === 'TEMPORARILY_UNAVAILABLE';
}

export function runFailed(error: Error): Error {
  if (error instanceof ApiError) return error;
  return new ApiError('INTERNAL_ERROR', `The model failed on this request: ${error.message}`);
}
