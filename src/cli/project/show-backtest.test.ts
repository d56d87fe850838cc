import { expect, it } from 'vitest';
import type { BacktestResult } from '../../pipelines/index.ts';
import { createTerminal } from '../terminal/terminal.ts';
import { backtestDocument, showBacktest } from './show-backtest.ts';

const policy = (name: 'never' | 'drift', notWatched: string[]): BacktestResult['policies'][number] => ({
  policy: name,
  retrainings: 0,
  promoted: 0,
  rejected: 0,
  failed: 0,
  heldBack: 0,
  alarms: { drift: 0, performance: 0 },
  notWatched,
  weeks: [],
  before: { roc_auc: 0.7, log_loss: 0.6 },
  holdout: {},
  events: [],
});

it('says beside no alarms of which windows none could come, once for policies that are alike', () => {
  const blind = 'no alarm of drift could come in 49 of 50 windows: too short';
  const result: BacktestResult = {
    model: 'm',
    rows: 10,
    from: 0,
    to: 1,
    startAt: 0,
    holdoutFrom: undefined,
    trainings: { done: 1, shared: 0 },
    notReplayed: [],
    policies: [policy('never', [blind]), policy('drift', [blind, 'another'])],
  };
  let said = '';
  const stderr = { write: (text: string) => (said += text) };
  const terminal = createTerminal({ stdout: { write: () => true }, stderr, env: {}, cwd: '.' });
  showBacktest(terminal, result, false);
  expect(said).toBe(`not watched (never, drift): ${blind}\nnot watched (drift): another\n`);
  expect(backtestDocument(result, 1).policies.map((each) => each.not_watched)).toEqual([
    [blind],
    [blind, 'another'],
  ]);
});
