import { ApiError } from '../errors.ts';

/** serialization_failure, deadlock_detected. */
const REPEAT = new Set(['40001', '40P01']);

/** Classes and codes of https://www.postgresql.org/docs/current/errcodes-appendix.html, and those of sockets. */
const UNAVAILABLE =
  /^(08...|53...|57P0[1-5]|57014|55P03|25P0[34]|ECONNREFUSED|ECONNRESET|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/;

/** What a connection tells that the server ended while it lay in the pool. */
const STALE_CODE = /^(57P01|ECONNRESET|EPIPE)$/;
const STALE = /^(Connection terminated|Client has encountered a connection error|Client was closed)/;

/** The driver's own errors about connections carry no code. */
const CONNECTION_LOST =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout exceeded when trying to connect|timeout expired|Query read timeout)/;

/** The server undid the transaction and asks to try again. */
export function isConflict(error: unknown): boolean {
  return REPEAT.has((error as { code?: string }).code ?? '');
}

/** The connection is gone; a new one may well work. */
export function isConnectionLost(error: unknown): boolean {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  return STALE_CODE.test(code) || STALE.test(message);
}

/** Turns an unreachable, overloaded or stopping server into TEMPORARILY_UNAVAILABLE; other errors stay as they are. */
export function describePostgresError(error: unknown, where: string): unknown {
  if (error instanceof ApiError) return error;
  const { code = '', message = '' } = error as { code?: string; message?: string };
  if (message.startsWith('Cannot use a pool after calling end')) {
    return new ApiError(
      'TEMPORARILY_UNAVAILABLE',
      `The connections to the PostgreSQL server ${where} are closed`,
    );
  }
  if (!UNAVAILABLE.test(code) && !REPEAT.has(code) && !CONNECTION_LOST.test(message)) return error;
  return new ApiError(
    'TEMPORARILY_UNAVAILABLE',
    `The PostgreSQL server ${where} cannot do this now (${[code, message].filter((text) => text !== '').join(': ')})`,
    undefined,
    { cause: error },
  );
}
