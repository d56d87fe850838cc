import { ApiError, type ErrorCode } from '../../platform/index.ts';

/** An error as a run keeps it: plain data that a later process can throw again. */
export interface RecordedError {
  message: string;
  code?: ErrorCode;
  details?: Record<string, unknown>;
}

const MAX_MESSAGE_CHARS = 4000;

/** What is kept of an error. */
export function recordError(error: unknown): RecordedError {
  const message = error instanceof Error ? error.message || error.name : String(error);
  return {
    message: clean(message).slice(0, MAX_MESSAGE_CHARS),
    ...(error instanceof ApiError && { code: error.code, ...(error.details && { details: error.details }) }),
  };
}

/** The error that a recorded one stands for. */
export function recallError({ message, code, details }: RecordedError): Error {
  return code === undefined ? new Error(message) : new ApiError(code, message, details);
}

/** Text that both databases take: PostgreSQL knows no U+0000. */
export function clean(text: string): string {
  return text.replaceAll('\u0000', '\uFFFD').toWellFormed();
}

/** Errors that the same attempt would meet again: the input is wrong, not the moment. */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  'INVALID_PARAMETER_VALUE',
  'BAD_REQUEST',
  'RESOURCE_ALREADY_EXISTS',
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'RESOURCE_DOES_NOT_EXIST',
  'PAYLOAD_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'UNPROCESSABLE_ENTITY',
  'NOT_IMPLEMENTED',
  'INVALID_STATE',
]);

/** Whether another attempt may fare better. */
export function isWorthRetrying(error: unknown): boolean {
  return !(error instanceof ApiError && FINAL.has(error.code));
}
