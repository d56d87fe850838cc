import { describe, expect, it } from 'vitest';
import { checkCron, nextCronTime } from './index.ts';

const next = (expression: string, timeZone: string, after: string, count = 1) => {
  const times: string[] = [];
  let at = Date.parse(after);
  for (let i = 0; i < count; i++) {
    at = nextCronTime(expression, timeZone, at);
    times.push(new Date(at).toISOString().slice(0, 16));
  }
  return times;
};

describe('nextCronTime', () => {
  it('names the next time in the zone, never the present one', () => {
    expect(next('0 3 * * 1', 'UTC', '2026-11-21T13:00:00Z', 2)).toEqual([
      '2026-11-23T03:00',
      '2026-11-30T03:00',
    ]);
    expect(next('0 3 * * 1', 'UTC', '2026-11-23T03:00:00Z')).toEqual(['2026-11-30T03:00']);
    expect(next('0 3 * * 1', 'UTC', '2026-11-23T02:59:59.999Z')).toEqual(['2026-11-23T03:00']);
    expect(next('0 3 * * 1', 'America/Phoenix', '2026-11-21T13:00:00Z')).toEqual(['2026-11-23T10:00']);
    expect(next('*/15 8-9 1,15 * *', 'UTC', '2001-02-15T09:30:00Z', 2)).toEqual([
      '2001-02-15T09:45',
      '2001-03-01T08:00',
    ]);
    expect(next('@daily', 'UTC', '2026-01-01T00:00:00Z')).toEqual(['2026-01-02T00:00']);
  });

  it('keeps the wall clock across a change of summer time', () => {
    // Berlin: 29 March 2026 02:00 -> 03:00, 25 October 2026 03:00 -> 02:00.
    expect(next('0 4 * * *', 'Europe/Berlin', '2026-03-28T00:00:00Z', 2)).toEqual([
      '2026-03-28T03:00',
      '2026-03-29T02:00',
    ]);
    expect(next('0 4 * * *', 'Europe/Berlin', '2026-10-24T00:00:00Z', 2)).toEqual([
      '2026-10-24T02:00',
      '2026-10-25T03:00',
    ]);
  });

  it('takes a time that does not exist at the end of the gap, once', () => {
    expect(next('30 2 * * *', 'Europe/Berlin', '2026-03-28T02:00:00Z', 2)).toEqual([
      '2026-03-29T01:00',
      '2026-03-30T00:30',
    ]);
  });

  it('takes a time that comes twice once', () => {
    expect(next('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', 2)).toEqual([
      '2026-10-25T00:30',
      '2026-10-26T01:30',
    ]);
  });

  it('refuses what is no schedule or no time zone, in words', () => {
    for (const expression of [
      '',
      '* * * *',
      '0 0 3 * * 1',
      '61 * * * *',
      '0 3 * * monday!',
      'every day',
      '@never',
    ]) {
      expect(() => checkCron(expression), expression).toThrow('is no schedule');
    }
    expect(() => checkCron('0 0 30 2 *')).toThrow('never comes');
    expect(() => checkCron('0 3 * * 1', 'Europe/Berlim')).toThrow("'Europe/Berlim' is no time zone");
    expect(() => checkCron('0 3 * * MON')).not.toThrow();
  });
});
