import { ApiError, type ErrorCode } from '../../platform/index.ts';

export interface StepTask {
  name: string;
  input: unknown;
}

export type ToChild = { type: 'run'; id: number; task: StepTask };

export type FromChild =
  | { type: 'ready' }
  | { type: 'log'; id: number; line: string }
  | { type: 'progress'; id: number; done: number; note: string | undefined }
  | { type: 'result'; id: number; result: unknown; rssBytes: number }
  | { type: 'error'; id: number; error: WireError; rssBytes: number };

export interface WireError {
  message: string;
  code?: ErrorCode;
  details?: Record<string, unknown>;
  stack?: string;
}

/** An error as it crosses to the parent. */
export function toWire(error: unknown): WireError {
  if (!(error instanceof Error)) return { message: String(error) };
  return {
    message: error.message || error.name,
    ...(error instanceof ApiError && { code: error.code }),
    ...(error instanceof ApiError && error.details && { details: error.details }),
    ...(error.stack !== undefined && { stack: error.stack }),
  };
}

/** The error that crossed, with the stack that it had over there. */
export function fromWire({ message, code, details, stack }: WireError): Error {
  const error = code === undefined ? new Error(message) : new ApiError(code, message, details);
  if (stack !== undefined) error.stack = stack;
  return error;
}
