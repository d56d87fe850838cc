import { ApiError } from '../../../platform/index.ts';

/** A query that wants more memory than there is for it, as an error of who wrote it. */
export const tooLarge = (limitMb: number, how?: string): ApiError =>
  new ApiError(
    'INVALID_PARAMETER_VALUE',
    `The query needs more than the ${limitMb} MB of memory that it may use${how === undefined ? '' : ` (its process ended: ${how})`}; look at fewer rows or columns, or group them`,
  );

/** The query is not to blame: it had not begun. */
export const startedTooLate = (timeoutMs: number): ApiError =>
  new ApiError(
    'TEMPORARILY_UNAVAILABLE',
    `The query took longer than ${timeoutMs / 1000} s, because its process was still starting; ask again`,
  );

export const tookTooLong = (timeoutMs: number): ApiError =>
  new ApiError(
    'INVALID_PARAMETER_VALUE',
    `The query took longer than ${timeoutMs / 1000} s; look at fewer rows, or give it more time`,
  );
