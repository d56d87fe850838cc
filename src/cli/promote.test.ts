import { expect, it } from 'vitest';
import { describeWaiting, type Promotion, showPromotion } from './promote.ts';
import { createTerminal } from './terminal/terminal.ts';

function shown(more: Partial<Promotion>): string {
  const out: string[] = [];
  const io = {
    stdout: { isTTY: false, write: (text: string) => out.push(text) },
    stderr: { isTTY: false, write: () => true },
    env: {},
    cwd: '/',
  };
  const promotion: Promotion = {
    name: 'm',
    from: '1',
    to: '2',
    changed: false,
    outcome: 'rollout',
    rollout: 'r-1',
    decision: { verdict: 'non-inferior', summary: 'measured' },
    ...more,
  };
  showPromotion(createTerminal(io, { json: false }), promotion, {
    model_servers: [],
    live: false,
    waited_ms: 0,
  });
  return out.join('');
}

it('says of a rollout whether the gate was passed or forced', () => {
  expect(shown({})).toMatch(/version 2 passed the gate and is rolled out beside 1 \(r-1\)/);
  const forced = shown({ decision: { verdict: 'forced', summary: 'forced by ann: inconclusive' } });
  expect(forced).toMatch(/version 2 is forced past the gate and rolled out beside 1/);
  expect(forced).not.toContain('passed the gate');
});

it('says once that a version serves already', () => {
  const text = shown({
    to: '1',
    outcome: 'unchanged',
    decision: { verdict: 'already serving', summary: 'version 1 serves already' },
  });
  expect(text.match(/serves already|already serving/g)).toHaveLength(1);
});

it('says what a promotion that takes long waits for', () => {
  const of = (version: string, state: 'running' | 'waiting', more: object = {}) => ({
    what: 'promotion' as const,
    model: 'm',
    version,
    state,
    for_ms: 3000,
    ...more,
  });
  const labels = of('1', 'running', { what: 'labels' });
  expect(describeWaiting([labels], 'm', '1')).toBeUndefined();
  expect(describeWaiting([labels, of('2', 'running')], 'm', '2')).toBe(
    'm/2 and what serves score the held-out rows',
  );
  expect(describeWaiting([of('9', 'running', { model: 'n' }), of('2', 'waiting')], 'm', '2')).toBe(
    'm/2 waits for the judgement of n/9',
  );
  expect(describeWaiting([of('2', 'waiting'), of('3', 'waiting')], 'm', '2')).toBe(
    'm/2 waits for its turn; 1 more waits',
  );
});

it('shows what warns and what decides nothing, and no check that passed', () => {
  const evidence = {
    checks: [
      { name: 'schema', state: 'passed', words: 'the same columns' },
      { name: 'leakage', state: 'warning', words: 'nearly predicts the target alone: price' },
    ],
    comparison: { mcnemar: { p: 0.25 }, delong: { p: 0.5 } },
    notes: ['12 rows are left out'],
  };
  const text = shown({ decision: { verdict: 'better', summary: 'measured', evidence } });
  expect(text).toContain('  leakage: warning, nearly predicts the target alone: price');
  expect(text).toContain('  McNemar p = 0.25, DeLong p = 0.5: take rows as independent, decide nothing');
  expect(text).toContain('  note: 12 rows are left out');
  expect(text).not.toContain('schema');
});
