import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { createLocalArtifactStore } from '../../src/artifacts/index.ts';
import type { Signature } from '../../src/models/index.ts';
import { createPredictionLog, type PredictionLogDeps } from '../../src/monitoring/index.ts';
import type { Database } from '../../src/platform/index.ts';
import type { FeedbackLine, PredictionLine, SegmentName } from '../../src/serving/contract.ts';
import { fixedClock, silentLogger, tempDir } from './index.ts';

export const DAY_MS = 86_400_000;
/** 2001-04-01. */
export const START = Date.UTC(2001, 3, 1);

/** Flights, late or not. */
export const SIGNATURE: Signature = {
  columns: [
    { name: 'date', type: 'datetime', nullable: false },
    { name: 'distance', type: 'double', nullable: true },
    { name: 'destination', type: 'string', nullable: true },
  ],
  inputs: [
    { name: 'a', elementType: 'int64', columns: ['date'] },
    { name: 'b', elementType: 'float32', columns: ['distance'] },
    { name: 'c', elementType: 'string', columns: ['destination'] },
  ],
  output: { task: 'binary', target: 'delay > 15', classes: [false, true], probabilities: 'p' },
  missingText: '',
};

const opened: { close(): Promise<void> }[] = [];
afterAll(async () => {
  await Promise.all(opened.splice(0).map((log) => log.close()));
});

export type LogFixture = ReturnType<typeof createLogFixture>;

/** A prediction log on an artifact store of its own, whose segments are filed when a test says so. */
export function createLogFixture(database: Database, options: Partial<PredictionLogDeps> = {}) {
  const root = tempDir();
  const artifacts = createLocalArtifactStore({ root: join(root, 'artifacts') });
  const clock = fixedClock(START + 200 * DAY_MS);
  const open = () => {
    const log = createPredictionLog({
      database,
      artifacts,
      clock,
      logger: silentLogger,
      workFolder: join(root, 'log'),
      modelOf: async (model) => (model === 'flights' ? SIGNATURE : undefined),
      retentionMs: 0,
      graceMs: -1,
      filing: { segments: 1_000_000, sizeBytes: 2 ** 40, waitMs: 1_000_000_000 },
      ...options,
    });
    opened.push(log);
    return log;
  };
  const log = open();
  let sequence = 0;
  return {
    log,
    open,
    artifacts,
    clock,
    root,
    /** Ships lines as the next segment. */
    ship: async (
      kind: SegmentName['kind'],
      lines: readonly unknown[] | Uint8Array,
      name: Partial<SegmentName> = {},
    ) => {
      const bytes =
        lines instanceof Uint8Array
          ? lines
          : Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
      const given = { kind, replica: 'a', incarnation: 'i1', sequence: sequence++, ...name };
      return log.takeSegment(given, stream(bytes), createHash('sha256').update(bytes).digest('hex'));
    },
    select: async (sql: string): Promise<unknown[][]> => (await log.query(sql)).rows,
  };
}

export async function* stream(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The id of row `i`: a UUID, as servers make them. */
export const idOf = (i: number): string => `01890000-0000-7000-8000-${i.toString(16).padStart(12, '0')}`;

/** A logged prediction; late with a probability that follows from `i`. */
export function predictionLine(i: number, given: Partial<PredictionLine> = {}): PredictionLine {
  const t = given.t ?? START + i * 60_000;
  const late = ((i * 37) % 100) / 100;
  return {
    id: idOf(i),
    t,
    at: t + 5,
    m: 'flights',
    v: '1',
    var: 'champion',
    ms: 0.1,
    f: { date: new Date(t).toISOString(), distance: i % 3000, destination: i % 2 === 0 ? 'LAX' : 'SFO' },
    p: late >= 0.5,
    pr: [1 - late, late],
    ...given,
  };
}

export function labelLine(i: number, y: FeedbackLine['y'], given: Partial<FeedbackLine> = {}): FeedbackLine {
  const t = given.t ?? START + i * 60_000 + DAY_MS;
  return { id: idOf(i), m: 'flights', y, t, at: t + 5, ...given };
}

export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);
