import { describe, expect, it } from 'vitest';
import { createTerminal } from '../terminal/terminal.ts';
import { compareScores } from './compare-scores.ts';
import { mondayOf, type ReplayWeek } from './replay-weeks.ts';
import { showWeeks } from './show-weeks.ts';

const week = (given: Partial<ReplayWeek>): ReplayWeek => ({
  week: '2001-04-02',
  requests: 3604,
  labels: 3500,
  errors: 0,
  alarms: [],
  decisions: [],
  scored: [],
  ...compareScores([]),
  ...given,
});

function shown(weeks: ReplayWeek[], options: { columns?: number; isScored?: boolean }): string[] {
  const parts: string[] = [];
  const stdout = { write: (part: string) => parts.push(part), ...options };
  const terminal = createTerminal({ stdout, stderr: { write: () => {} }, env: {}, cwd: '/' });
  const show = showWeeks(terminal, { isScored: options.isScored === true });
  for (const each of weeks) show(each);
  return parts.join('').trimEnd().split('\n');
}

describe('the table of weeks', () => {
  it('tells alarms and decisions in the order of their days, the alarm of a day first', () => {
    const lines = shown(
      [
        week({
          alarms: ['04-03 performance', '04-04 drift of minute'],
          decisions: ['04-02 v10 better', '04-04 v10 champion'],
        }),
      ],
      {},
    );
    expect(lines).toEqual([
      '   week of     requests  errors  alarms (!) and decisions',
      '   2001-04-02      3604       0  04-02 v10 better, ! 04-03 performance, ! 04-04 drift of minute, 04-04 v10 champion',
    ]);
  });

  it('stays within 80 columns', () => {
    const decisions = ['04-09 v11 inconclusive', '04-12 v12 better', '04-14 v12 champion'];
    const scores = { auc: 0.58, auc_never_retrained: 0.608, log_loss: 0.666 };
    const lines = shown([week({ ...scores, alarms: ['04-10 drift of destination'], decisions })], {
      columns: 80,
      isScored: true,
    });
    expect(lines.slice(1)).toEqual([
      '   2001-04-02      3604       0  0.580  0.608     0.666  04-09 v11 inconclusive,',
      `${' '.repeat(57)}! 04-10 drift of destination,`,
      `${' '.repeat(57)}04-12 v12 better,`,
      `${' '.repeat(57)}04-14 v12 champion`,
    ]);
  });

  it('shows a gap where a score is not known', () => {
    expect(shown([week({})], { isScored: true })[1]).toBe(
      '   2001-04-02      3604       0      –      –         –',
    );
  });
});

it('finds the Monday of a moment, also before 1970', () => {
  expect(mondayOf(Date.parse('2001-04-08T23:59:59Z'))).toBe('2001-04-02');
  expect(mondayOf(Date.parse('2001-04-09T00:00:00Z'))).toBe('2001-04-09');
  expect(mondayOf(Date.parse('1969-12-31T12:00:00Z'))).toBe('1969-12-29');
});

describe('scores', () => {
  it('compares what was answered with the version that never changed', () => {
    const scored = [
      { isTrue: true, answered: 0.9, unchanged: 0.4 },
      { isTrue: false, answered: 0.1, unchanged: 0.6 },
    ];
    expect(compareScores(scored)).toEqual({
      auc: 1,
      auc_never_retrained: 0,
      log_loss: 0.1054,
      log_loss_never_retrained: 0.9163,
    });
  });

  it('knows no AUC of one class', () => {
    expect(compareScores([{ isTrue: true, answered: 0.9, unchanged: 0.5 }])).toMatchObject({
      auc: null,
      log_loss: 0.1054,
    });
  });
});
