import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { fixedClock } from '../../tests/support/fixed-clock.ts';
import { tempDir } from '../../tests/support/temp-dir.ts';
import { ingestFile, readHeldOut, readRows } from '../datasets/index.ts';
import { createRowCoder, createSession, PROFILE_KEY, readMetadata, TRAINING_KEY } from '../models/index.ts';
import { createRandom } from '../platform/index.ts';
import { decodeProfile, decodeReference, decodeSpec } from '../profiles/index.ts';
import { type TrainedFolder, type TrainIntoOptions, type TrainingTable, trainInto } from './index.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2001, 0, 1);
const DAYS = 40;

/** Trips that are late in the evening and to the far city. */
function writeTrips(path: string): void {
  const random = createRandom(7);
  const lines = ['trip,left,cents,city,delay'];
  for (let i = 0; i < 1600; i++) {
    const left =
      START +
      Math.floor(i / 40) * DAY +
      Math.floor(random() * 24) * HOUR +
      Math.floor(random() * 60) * 60_000;
    const city = ['LAX', 'SFO', 'JFK'][Math.floor(random() * 3)]!;
    const cents = random() < 0.05 ? '' : String(2_000_000_000 + Math.floor(random() * 1000));
    const evening = new Date(left).getUTCHours() >= 16;
    const delay = Math.round(random() * 12 + (evening ? 8 : 0) + (city === 'JFK' ? 4 : 0));
    lines.push(
      [`T${i % 50}`, new Date(left).toISOString(), cents, random() < 0.03 ? '' : city, delay].join(','),
    );
  }
  writeFileSync(path, `${lines.join('\n')}\n`);
}

const features = {
  hour: 'hour(left)',
  evening: 'hour >= 16',
  odd_cents: 'cents % 10',
  coast: "if(city in ('LAX', 'SFO'), 'west', 'east')",
};

let table: TrainingTable;
const folder = tempDir();

beforeAll(async () => {
  const path = join(folder, 'trips.csv');
  writeTrips(path);
  const ingested = await ingestFile({
    path,
    outPath: join(folder, 'trips.parquet'),
    time: 'left',
    id: 'trip',
  });
  table = { ...ingested, parquetPath: ingested.path, name: 'trips' };
});

const base = {
  name: 'trips',
  target: 'delay > 15',
  ignore: ['left', 'cents'],
  features,
  algorithm: 'gradient-boosting',
  params: { trees: 30, min_leaf: 5 },
  seed: 1,
  split: { testFrom: START + 30 * DAY },
  codeVersion: '0.1.0',
  clock: fixedClock(),
} satisfies Partial<TrainIntoOptions>;

const train = async (options: Partial<TrainIntoOptions> = {}) =>
  trainInto(await mkdtemp(join(folder, 'model-')), { ...base, table, ...options });

async function load({ modelPath }: TrainedFolder) {
  const bytes = readFileSync(modelPath);
  const session = await createSession(bytes);
  return { session, metadata: readMetadata(bytes), coder: createRowCoder(session.signature) };
}

const trip = { left: '2001-03-01T18:30:00Z', cents: 2_000_000_007, city: 'JFK' };

describe('training into a folder', () => {
  it.each(['gradient-boosting', 'linear'] as const)(
    'makes a model that computes its features from raw columns (%s)',
    async (algorithm) => {
      const trained = await train({ algorithm, params: algorithm === 'linear' ? {} : base.params });
      expect(trained.metrics['roc_auc']).toBeGreaterThan(0.8);
      const { session, coder } = await load(trained);
      // `left` and `cents` are no features by themselves; they are taken because features need them.
      expect(session.signature.columns.map(({ name, type }) => `${name}: ${type}`)).toEqual([
        'city: string',
        'left: datetime',
        'cents: long',
      ]);
      const output = await session.run(
        coder.encode([
          trip,
          { ...trip, cents: null, city: 'never seen' },
          { ...trip, left: '1969-12-31T23:59:00Z', city: null },
        ]),
      );
      expect({ ...output.features }).toEqual({
        hour: Float32Array.of(18, 18, 23),
        evening: Float32Array.of(1, 1, 1),
        // In float32 the cents would be 2000000000.
        odd_cents: Float32Array.of(7, Number.NaN, 7),
        coast: ['east', 'east', '\u0001missing'],
      });
      const late = output.probabilities![1]!;
      const morning = await session.run(
        coder.encode([{ ...trip, left: '2001-03-01T08:30:00Z', city: 'LAX' }]),
      );
      expect(late).toBeGreaterThan(morning.probabilities![1]! + 0.3);
      await session.release();
    },
  );

  it('says in the file what it was trained on, held out, and counts while it serves', async () => {
    const trained = await train();
    const { session, metadata } = await load(trained);
    await session.release();
    const training = JSON.parse(metadata[TRAINING_KEY]!);
    expect(training).toMatchObject({
      features,
      split: { kind: 'time', testFrom: START + 30 * DAY, timeColumn: 'left' },
      data: { digest: table.digest, time: { from: trained.trainedFrom, to: trained.trainedTo } },
      held_out: { from: trained.heldOutFrom, to: trained.heldOutTo, rows: 400 },
    });
    expect(trained.trainedFrom).toBeGreaterThanOrEqual(START);
    expect(trained.trainedTo).toBeLessThanOrEqual(START + 30 * DAY);
    expect(trained.heldOutFrom).toBeGreaterThanOrEqual(START + 30 * DAY);
    expect(trained.heldOutTo).toBeLessThanOrEqual(START + DAYS * DAY);
    expect(decodeSpec(metadata[PROFILE_KEY]!).columns.map(({ name, kind }) => `${name}: ${kind}`)).toEqual([
      'city: categorical',
      'hour: numeric',
      'evening: numeric',
      'odd_cents: numeric',
      'coast: categorical',
      '@score: numeric',
      '@class: categorical',
    ]);
  });

  it('counts its training rows and its answers on the held-out rows, day by day', async () => {
    const trained = await train();
    const { spec, windows } = decodeReference(readFileSync(trained.referencePath, 'utf8'));
    expect(windows.map(({ from }) => (from - START) / DAY)).toEqual(
      Array.from({ length: DAYS }, (_, day) => day),
    );
    const profiles = windows.map(({ profile }) => decodeProfile(spec, profile));
    expect(profiles.map(({ rows }) => rows)).toEqual(profiles.map(() => 40));
    const counted = (day: number) =>
      spec.columns
        .filter(
          (_, index) => profiles[day]!.columns[index]!.count + profiles[day]!.columns[index]!.missing > 0,
        )
        .map(({ name }) => name);
    expect(counted(29)).toEqual(['city', 'hour', 'evening', 'odd_cents', 'coast']);
    expect(counted(30)).toEqual(['@score', '@class']);
  });

  it('counts rows without a time in chunks', async () => {
    const untimed = {
      ...table,
      schema: table.schema.map(({ name, type, nullable }) => ({ name, type, nullable })),
    };
    const trained = await train({
      table: untimed,
      split: { testShare: 0.25 },
      ignore: ['left', 'cents', 'trip'],
    });
    const { windows } = decodeReference(readFileSync(trained.referencePath, 'utf8'));
    expect(trained).not.toHaveProperty('trainedFrom');
    expect(windows.every(({ from }) => from === 0)).toBe(true);
    expect(windows.reduce((sum, { rows }) => sum + rows, 0)).toBe(1600);
  });

  it('holds out raw rows, with their time and entity, that the model answers', async () => {
    const trained = await train();
    const rows: Record<string, unknown>[] = [];
    for await (const batch of readRows(trained.heldOutPath)) rows.push(...batch);
    expect(Object.keys(rows[0]!)).toEqual(['left', 'cents', 'city', 'delay > 15', '__time', '__entity']);
    expect(rows[0]!['__time']).toBe(Date.parse(rows[0]!['left'] as string));
    expect(rows[0]!['__entity']).toBe('T0');
    const { session, coder } = await load(trained);
    const heldOut = await readHeldOut(trained.heldOutPath, { targetName: 'delay > 15' });
    const { labels } = await session.run(coder.encode(heldOut.rows));
    const right = heldOut.targets.filter((target, row) => target === labels![row]).length;
    expect(right / heldOut.rows.length).toBeCloseTo(trained.metrics['accuracy']!, 6);
    await session.release();
  });

  it('is deterministic, and leaves everything that a run keeps', async () => {
    const [first, second] = [await train(), await train()];
    expect(readFileSync(first.modelPath).equals(readFileSync(second.modelPath))).toBe(true);
    expect(readFileSync(first.referencePath, 'utf8')).toBe(readFileSync(second.referencePath, 'utf8'));
    expect(first.files.map(({ path }) => path)).toEqual([
      'evaluation/heldout.parquet',
      'report.json',
      'importance.json',
      'evaluation/reference.json',
      'model/model.onnx',
      'model/MLmodel',
    ]);
    expect(first.tags).toEqual({
      'tidemill.heldout': 'evaluation/heldout.parquet',
      'tidemill.reference': 'evaluation/reference.json',
      'tidemill.algorithm': 'gradient-boosting',
    });
    expect(JSON.parse(JSON.stringify(first))).toEqual(first);
    expect(first.course).toHaveLength(30);
  });

  it.each<[Partial<TrainIntoOptions>, string]>([
    [{ features: { late: 'delay / 2' } }, 'Feature "late" is made of "delay", and so is the target'],
    [{ features: { hour: 'huor(left)' } }, 'did you mean hour?'],
    [
      { split: { testFrom: START + 90 * DAY } },
      'The rows cannot be divided at 2001-04-01T00:00:00.000Z: 1600 happened before and 0',
    ],
    [
      { split: { kind: 'random', testFrom: START } },
      'testFrom divides rows by time, and the split is random',
    ],
  ])('refuses %j', async (options, message) => {
    await expect(train(options)).rejects.toThrow(message);
  });

  it('leaves a feature out that says nothing, and the columns that only it needs', async () => {
    const trained = await train({ features: { hour: 'hour(left)', none: 'if(cents is missing, 1, 1)' } });
    expect(JSON.parse(readFileSync(trained.reportPath, 'utf8')).plan).toMatchObject({
      derivedFrom: ['left'],
      excluded: expect.arrayContaining([{ column: 'none', why: 'it has the same value in every row' }]),
    });
    const { session } = await load(trained);
    expect(session.signature.columns.map(({ name }) => name)).toEqual(['city', 'left']);
    await session.release();
  });

  it.each<
    Pick<TrainIntoOptions, 'target' | 'ignore' | 'features'> & {
      file: string;
      testFrom: number;
      trained: object;
    }
  >([
    {
      file: 'weather/seattle-weather.csv',
      target: 'weather',
      ignore: ['date', 'precipitation'],
      features: { month: 'month(date)', day: 'day_of_year(date)', range: 'temp_max - temp_min' },
      testFrom: Date.UTC(2015, 0, 1),
      trained: { task: 'multiclass', rows: { train: 1096, test: 365 } },
    },
    {
      file: 'flights/january.parquet',
      target: 'delay > 15',
      ignore: ['date'],
      features: { minute: 'minute_of_day(date)', hour: 'hour(date)', weekday: 'weekday(date)' },
      testFrom: Date.UTC(2001, 0, 25),
      trained: { task: 'binary', rows: { train: 12_350, test: 3593 } },
    },
  ])('learns from the features of examples/$file', async ({ file, trained, testFrom, ...options }) => {
    const path = join(import.meta.dirname, '../../examples', file);
    const outPath = join(await mkdtemp(join(folder, 'example-')), 'table.parquet');
    const ingested = await ingestFile({ path, outPath, time: 'date' });
    const made = await train({
      ...options,
      table: { ...ingested, parquetPath: outPath, name: 'example' },
      params: { trees: 30 },
      split: { testFrom },
    });
    expect(JSON.parse(readFileSync(made.reportPath, 'utf8'))).toMatchObject(trained);
    expect(made.metrics['roc_auc']).toBeGreaterThan(0.6);
    expect(made.metrics['log_loss']).toBeLessThan(made.metrics['baseline_log_loss']!);
  });
});
