import { ApiError } from '../errors.ts';

/** serialization_failure, deadlock_detected: the server undid the transaction and asks to try again. */
const REPEAT = new Set(['40001', '40P01']);

/** Classes and codes of https://www.postgresql.org/docs/current/errcodes-appendix.html, and of the driver and sockets. */
const UNAVAILABLE =
  /^(08...|53...|57P0[1-4]|57014|55P03|25P0[34]|CONNECTION_\w+|CONNECT_TIMEOUT|ECONNREFUSED|ECONNRESET|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/;

export function isWorthRepeating(error: unknown): boolean {
  return REPEAT.has((error as { code?: string }).code ?? '');
}

/** Turns an unreachable, overloaded or stopping server into TEMPORARILY_UNAVAILABLE; other errors stay as they are. */
export function describePostgresError(error: unknown, where: string): unknown {
  if (error instanceof ApiError) return error;
  const { code = '', message = '' } = error as { code?: string; message?: string };
  if (!UNAVAILABLE.test(code) && !REPEAT.has(code)) return error;
  return new ApiError(
    'TEMPORARILY_UNAVAILABLE',
    `The PostgreSQL server ${where} cannot do this now (${code}: ${message || 'no connection'})`,
    undefined,
    { cause: error },
  );
}
