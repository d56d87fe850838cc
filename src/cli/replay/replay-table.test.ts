import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { createHttpClient } from '../http/http-client.ts';
import { type ReplayAnswer, type ReplayStep, replayTable, waitUntilAnswered } from './replay-table.ts';

const DAY_MS = 86_400_000;
const FIRST = Date.parse('2026-03-02T12:00:00Z');

/** Both servers in one: answers every row, and says that the platform's time is `now`. */
async function platformAt(now: number, asked: string[] = []): Promise<string> {
  const server = createServer((request, reply) => {
    asked.push(request.url ?? '');
    const body = request.url?.startsWith('/api/v1/loop')
      ? { now, settled_until: now, problems: {} }
      : { prediction_id: 'p', prediction: true, model_version: '1', variant: 'champion' };
    request.resume().on('end', () => {
      reply.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function replayOn(url: string, firstAnswer?: ReplayAnswer): Promise<ReplayStep[]> {
  const steps: ReplayStep[] = [];
  const replay = replayTable({
    model: 'churn',
    serveUrl: url,
    client: createHttpClient({ url, remedy: '' }),
    rows: [0, 1, 2].map((day) => ({ at: FIRST + day * DAY_MS, features: { a: day }, label: true })),
    labelDelayMs: DAY_MS,
    ...(firstAnswer && { firstAnswer }),
    stepMs: DAY_MS,
    connections: 2,
    signal: new AbortController().signal,
  });
  for await (const step of replay) steps.push(step);
  return steps;
}

it('sends each day with the labels that are due, and says how far ahead the platform already was', async () => {
  const steps = await replayOn(await platformAt(FIRST + 30 * DAY_MS));
  expect(
    steps.map(({ rows, labels, labelsLater, errors }) => [rows.length, labels, labelsLater, errors]),
  ).toEqual([
    [1, 0, 1, 0],
    [1, 1, 1, 0],
    [1, 1, 1, 0],
  ]);
  expect(steps[0]?.aheadMs).toBe(30 * DAY_MS);
});

it('asks for each row once, the one by which it waited for the model included', async () => {
  const asked: string[] = [];
  const url = await platformAt(FIRST + 30 * DAY_MS, asked);
  const { signal } = new AbortController();
  const rows = [{ at: FIRST, features: { a: 0 }, label: true }];
  const answer = await waitUntilAnswered({ serveUrl: url, model: 'churn', rows, signal }, 60_000);
  const [first] = await replayOn(url, answer);
  expect(first?.rows[0]?.answer).toBe(answer);
  expect(asked.filter((path) => path === '/models/churn/predict')).toHaveLength(3);
});
