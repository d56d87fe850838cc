import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { createLogger } from './index.ts';

it('writes JSON lines with a level in words and a readable time, and no secrets', () => {
  const destination = new PassThrough();
  const logger = createLogger({ level: 'info', name: 'server', destination });
  logger.debug('not told');
  logger.warn({ model: 'churn', token: 'tm_abc', headers: { authorization: 'Bearer x' } }, 'slow');
  const lines = destination.read().toString().trim().split('\n');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0])).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    name: 'server',
    pid: process.pid,
    model: 'churn',
    token: '[hidden]',
    headers: { authorization: '[hidden]' },
    msg: 'slow',
  });
});
