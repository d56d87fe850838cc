export type { Clock } from './clock.ts';
export { systemClock } from './clock.ts';
export type { ErrorCode } from './errors.ts';
export { ApiError, ERROR_STATUS } from './errors.ts';
