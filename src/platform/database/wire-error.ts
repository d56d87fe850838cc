import { ApiError, type ErrorCode } from '../errors.ts';

/** An error as it crosses between threads: structured cloning alone would lose its class, code and details. */
export interface WireError {
  api?: { code: ErrorCode; details: Record<string, unknown> | undefined };
  name: string;
  message: string;
  stack: string | undefined;
}

export function encodeError(error: unknown): WireError {
  const shown = describeSqliteError(error instanceof Error ? error : new Error(String(error)));
  const wire: WireError = { name: shown.name, message: shown.message, stack: shown.stack };
  if (shown instanceof ApiError) wire.api = { code: shown.code, details: shown.details };
  return wire;
}

export function decodeError(wire: WireError): Error {
  const error = wire.api
    ? new ApiError(wire.api.code, wire.message, wire.api.details)
    : Object.assign(new Error(wire.message), { name: wire.name });
  if (wire.stack !== undefined) error.stack = wire.stack;
  return error;
}

/** Primary result codes of SQLite (https://www.sqlite.org/rescode.html) that pass, or that an operator can mend. */
const UNAVAILABLE: Record<number, string> = {
  5: 'another process holds a lock on the database file',
  6: 'a table is locked',
  7: 'there is not enough memory',
  8: 'the database file is read-only',
  10: 'the disk failed to read or write',
  13: 'the disk is full',
  14: 'the database file cannot be opened',
};

/** Turns a failure of the disk or of a lock into TEMPORARILY_UNAVAILABLE in words; other errors stay as they are. */
export function describeSqliteError(error: Error): Error {
  const { code, errcode } = error as { code?: string; errcode?: number };
  if (code !== 'ERR_SQLITE_ERROR' || errcode === undefined) return error;
  const reason = UNAVAILABLE[errcode & 0xff];
  if (reason === undefined) return error;
  return new ApiError(
    'TEMPORARILY_UNAVAILABLE',
    `The database cannot store this now: ${reason} (${error.message}). Nothing was changed.`,
    undefined,
    { cause: error },
  );
}
