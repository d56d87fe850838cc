import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalArtifactStore } from '../src/artifacts/index.ts';
import type { Signature } from '../src/models/index.ts';
import { createPredictionLog } from '../src/monitoring/index.ts';
import { createLogger, createRandom, openDatabase, systemClock } from '../src/platform/index.ts';

// What asking the prediction log costs: a model with ROWS logged rows (default 100,000; one a minute, all labelled), then the
// milliseconds of each question, median of nine, on filed rows and right after a segment of 500 more. Prints one JSON line.
const ROWS = Number(process.argv[2] ?? 100_000);
const SEGMENT_ROWS = 5000;
const DAY_MS = 86_400_000;
const START = Date.UTC(2001, 0, 1);
const random = createRandom(1);

const signature: Signature = {
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
  output: { task: 'binary', target: 'late', classes: [false, true], probabilities: 'p' },
  missingText: '',
};

const folder = await mkdtemp(join(tmpdir(), 'tidemill-benchmark-'));
const logger = createLogger({ level: 'error', name: 'benchmark' });
const database = await openDatabase({
  url: `sqlite:${join(folder, 'tidemill.db')}`,
  commandsModule: new URL('../src/commands.ts', import.meta.url),
  logger,
});
const log = createPredictionLog({
  database,
  artifacts: createLocalArtifactStore({ root: join(folder, 'artifacts') }),
  clock: systemClock,
  logger,
  workFolder: join(folder, 'log'),
  modelOf: async () => signature,
  retentionMs: 0,
});

const hex = (value: number, digits: number) => Math.floor(value).toString(16).padStart(digits, '0');
const idOf = (i: number) =>
  `${hex(i * 7, 8)}-${hex(i % 65_536, 4)}-7000-8000-${hex(((i * 2_654_435_761) % 2 ** 32) * 4096, 12)}`;

function predictionOf(i: number): string {
  const t = START + i * 60_000;
  const late = random();
  return JSON.stringify({
    id: idOf(i),
    t,
    at: t,
    m: 'flights',
    v: '1',
    var: 'champion',
    ms: 0.1,
    f: { date: new Date(t).toISOString(), distance: i % 3000, destination: `city ${i % 60}` },
    p: late > 0.5,
    pr: [1 - late, late],
  });
}

const labelOf = (i: number): string =>
  JSON.stringify({ id: idOf(i), m: 'flights', y: random() > 0.7, t: START + i * 60_000 + DAY_MS, at: i });

let sequence = 0;
async function ship(kind: 'predictions' | 'feedback', from: number, to: number): Promise<void> {
  const lineOf = kind === 'predictions' ? predictionOf : labelOf;
  const lines = Array.from({ length: to - from }, (_, k) => `${lineOf(from + k)}\n`);
  const bytes = Buffer.from(lines.join(''));
  const body = (async function* () {
    yield bytes;
  })();
  const name = { kind, replica: 'a', incarnation: 'i', sequence: sequence++ };
  await log.takeSegment(name, body, createHash('sha256').update(bytes).digest('hex'));
}

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function median(work: () => Promise<unknown>): Promise<number> {
  await work();
  const times: number[] = [];
  for (let i = 0; i < 9; i++) times.push(await milliseconds(work));
  return Number(times.sort((a, b) => a - b)[4]!.toFixed(1));
}

try {
  const intake = await milliseconds(async () => {
    for (let i = 0; i < ROWS; i += SEGMENT_ROWS) {
      await ship('predictions', i, Math.min(ROWS, i + SEGMENT_ROWS));
      await ship('feedback', i, Math.min(ROWS, i + SEGMENT_ROWS));
    }
  });
  const filing = await milliseconds(() => log.compact());
  const days = Array.from({ length: Math.ceil((ROWS * 60_000) / DAY_MS) }, (_, d) => ({
    from: START + d * DAY_MS,
    to: START + (d + 1) * DAY_MS,
  }));
  const end = days.at(-1)!.to;
  const middle = days[Math.floor(days.length / 2)]!;
  const compared = { model: 'flights', windowMs: DAY_MS, champion: '1', candidate: '2' };
  const exported = {
    model: 'flights',
    schema: signature.columns,
    targetName: 'late',
    outPath: join(folder, 'x.parquet'),
  };
  const measured = (windows: typeof days) =>
    log.measureWindows({ model: 'flights', version: '1', metric: 'roc_auc', windows });
  const hourly = () => log.query('select hour(date), avg(label) from flights group by 1');
  const results: Record<string, number> = {
    measure_one_day: await median(() => measured([middle])),
    measure_all_days: await median(() => measured(days)),
    compare_one_day: await median(() => log.compareVariants({ ...compared, ...middle })),
    compare_all_days: await median(() => log.compareVariants({ ...compared, from: START, to: end })),
    export_four_weeks: await median(() =>
      log.exportLabelled({ ...exported, from: START, to: START + 28 * DAY_MS }),
    ),
    export_all: await median(() => log.exportLabelled(exported)),
    counts: await median(() => log.counts('flights')),
    sql_hourly_labels: await median(hourly),
    sql_count: await median(() => log.query('select count(*) from predictions')),
  };
  let next = ROWS;
  const shipMore = async () => {
    await ship('predictions', next, next + 500);
    next += 500;
  };
  results['segment_of_500_then_measure_one_day'] = await median(async () => {
    await shipMore();
    await measured([{ from: end, to: end + DAY_MS }]);
  });
  results['segment_of_500_then_sql_hourly_labels'] = await median(async () => {
    await shipMore();
    await hourly();
  });
  process.stdout.write(
    `${JSON.stringify({ rows: ROWS, intake_ms: Math.round(intake), filing_ms: Math.round(filing), median_ms: results })}\n`,
  );
} finally {
  await log.close();
  await database.close();
  await rm(folder, { recursive: true, force: true });
}
