import { expect, it } from 'vitest';
import { type Promotion, showPromotion } from './promote.ts';
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
