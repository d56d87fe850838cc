import { expect, it } from 'vitest';
import { ApiError } from '../errors.ts';
import { createFailureLog } from './request-log.ts';

it('has one line a second of requests that nothing can answer, and one for each defect', () => {
  let now = 0;
  const lines: unknown[] = [];
  const log = {
    debug: () => {},
    warn: (...args: unknown[]) => lines.push(args),
    error: (...args: unknown[]) => lines.push(args),
  };
  const logFailure = createFailureLog(() => now);
  const none = new ApiError('TEMPORARILY_UNAVAILABLE', 'Nothing is served');
  for (; now < 2000; now += 10) logFailure(log, '/predict', none, none);
  logFailure(log, '/predict', none, none);
  const missing = new ApiError('ENDPOINT_NOT_FOUND', 'no');
  logFailure(log, '/x', missing, missing);
  const defect = new ApiError('INTERNAL_ERROR', 'a defect');
  for (let i = 0; i < 2; i++) logFailure(log, '/x', defect, defect);
  expect(lines).toEqual([
    [{ url: '/predict' }, 'Nothing is served'],
    [{ url: '/predict', untold_503s: 99 }, 'Nothing is served'],
    [{ url: '/predict', untold_503s: 99 }, 'Nothing is served'],
    [{ err: defect, url: '/x' }, 'a defect'],
    [{ err: defect, url: '/x' }, 'a defect'],
  ]);
});
