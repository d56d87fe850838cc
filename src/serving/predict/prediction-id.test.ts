import { expect, it } from 'vitest';
import { createPredictionIds } from './prediction-id.ts';

it('makes UUIDs of version 7 that carry the time and never repeat', () => {
  let now = Date.UTC(2026, 0, 31);
  const nextId = createPredictionIds(() => now);
  const ids = Array.from({ length: 2000 }, nextId);
  for (const id of ids)
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(new Set(ids).size).toBe(2000);
  const id = ids[0] as string;
  expect(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toBe(now);
  now += 1;
  expect(nextId() > (ids.toSorted().at(-1) as string)).toBe(true);
});
