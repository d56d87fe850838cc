import { ApiError, type ErrorCode } from '../errors.ts';

/** What every failed request is answered with. */
export interface ErrorBody {
  error_code: ErrorCode;
  message: string;
  request_id: string;
  details?: Record<string, unknown>;
}

/** Fastify's own errors that mean something else than a bad request. */
const FASTIFY_ERRORS: Record<string, [ErrorCode, string]> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'UNSUPPORTED_MEDIA_TYPE',
    'This endpoint does not take that content type; send application/json',
  ],
  FST_ERR_CTP_BODY_TOO_LARGE: ['PAYLOAD_TOO_LARGE', 'The body is larger than this endpoint takes'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['BAD_REQUEST', 'The body is empty, but its content type is application/json'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['BAD_REQUEST', 'The body is not as long as Content-Length says'],
  FST_ERR_MAX_PARAM_LENGTH: ['BAD_REQUEST', 'A part of the path is too long'],
};

/** Turns whatever was thrown into what the caller is told; the inside of an unexpected error is kept from her. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const { code, statusCode, message } = (error ?? {}) as {
    code?: string;
    statusCode?: number;
    message?: string;
  };
  const known = code === undefined ? undefined : FASTIFY_ERRORS[code];
  if (known) return new ApiError(known[0], known[1]);
  if (code === 'FST_ERR_BAD_URL') return new ApiError('BAD_REQUEST', 'The URL is not valid');
  if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') {
    return new ApiError('BAD_REQUEST', 'The connection was lost before the whole body had arrived');
  }
  // DuckDB has no code, but says it as the system does.
  if (code === 'ENOSPC' || code === 'EDQUOT' || message?.endsWith(': No space left on device')) {
    return new ApiError(
      'TEMPORARILY_UNAVAILABLE',
      'The disk of the server is full: make room and try again',
      undefined,
      { cause: error },
    );
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ApiError('BAD_REQUEST', message ?? 'Bad request');
  }
  return new ApiError(
    'INTERNAL_ERROR',
    'The server met an unexpected error; its log has it under this request_id',
  );
}

export function errorBody(error: ApiError, requestId: string): ErrorBody {
  const body: ErrorBody = { error_code: error.code, message: error.message, request_id: requestId };
  if (error.details !== undefined) body.details = error.details;
  return body;
}

/** Seconds for `Retry-After`: `details.retry_after_seconds` when given, else 1 for errors that pass by themselves. */
export function retryAfterSeconds(error: ApiError): string | undefined {
  if (error.code !== 'TOO_MANY_REQUESTS' && error.code !== 'TEMPORARILY_UNAVAILABLE') return undefined;
  const given = error.details?.['retry_after_seconds'];
  return String(typeof given === 'number' ? Math.max(1, Math.ceil(given)) : 1);
}
