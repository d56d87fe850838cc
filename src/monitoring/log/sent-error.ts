import { ApiError, type ErrorCode } from '../../platform/index.ts';

/** An error as one process tells it to another. */
export interface SentError {
  code?: ErrorCode;
  message: string;
  stack?: string;
}

export function toSentError(error: unknown): SentError {
  const { message, stack } = error as Error;
  return {
    message,
    ...(error instanceof ApiError && { code: error.code }),
    ...(stack !== undefined && { stack }),
  };
}

export function fromSentError({ code, message, stack }: SentError): Error {
  const error = code === undefined ? new Error(message) : new ApiError(code, message);
  return Object.assign(error, stack !== undefined && { stack });
}
