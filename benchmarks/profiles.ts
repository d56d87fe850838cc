import { createRandom } from '../src/platform/index.ts';
import { type ColumnValues, createProfile, specOf } from '../src/profiles/index.ts';

// What counting costs: 20 columns as a model server meets them (15 numbers in one float32 tensor, 5 texts in one array
// of texts), in batches of the given sizes, and a million rows at once. Prints one JSON line.
const NUMBERS = 15;
const TEXTS = 5;
const ROWS = 1_000_000;
const random = createRandom(1);

/** Normal, heavy-tailed, integer and partly missing columns in turn. */
function drawNumber(column: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  if (column % 4 === 1) return Math.exp(2 * normal);
  if (column % 4 === 2) return Math.floor(random() * 24);
  if (column % 4 === 3) return random() < 0.05 ? Number.NaN : 100 + normal;
  return normal;
}

const pool = 4096;
const drawn = Float32Array.from({ length: pool * NUMBERS }, (_, i) => drawNumber(i % NUMBERS));
const cities = Array.from({ length: 60 }, (_, i) => `city ${i}`);
// Through JSON, as the texts of requests come.
const drawnTexts: (string | null)[] = JSON.parse(
  JSON.stringify(
    Array.from({ length: pool * TEXTS }, () =>
      random() < 0.02 ? null : cities[Math.floor(random() ** 2 * cities.length)]!,
    ),
  ),
);

function columnsOf(numbers: Float32Array, texts: readonly (string | null)[]): ColumnValues[] {
  return [
    ...Array.from({ length: NUMBERS }, (_, offset) => ({ numbers, stride: NUMBERS, offset })),
    ...Array.from({ length: TEXTS }, (_, offset) => ({ texts, stride: TEXTS, offset })),
  ];
}

const reference = columnsOf(drawn, drawnTexts);
const spec = specOf(
  reference.map((values, i) => ({ name: `x${i}`, values })),
  pool,
);

/** Microseconds a row, best of three, of a batch that is counted again and again. */
function measureBatches(batch: number): number {
  const values = columnsOf(drawn.subarray(0, batch * NUMBERS), drawnTexts.slice(0, batch * TEXTS));
  const profile = createProfile(spec);
  const repeats = Math.ceil(200_000 / batch);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 4; round++) {
    const start = performance.now();
    for (let i = 0; i < repeats; i++) profile.add(batch, values);
    if (round > 0) best = Math.min(best, ((performance.now() - start) * 1000) / (repeats * batch));
  }
  return best;
}

/** Seconds for a million rows that all lie apart in memory, after one warming pass over the small batch. */
function measureMillion(): number {
  const numbers = new Float32Array(ROWS * NUMBERS);
  for (let at = 0; at < numbers.length; at += drawn.length) {
    numbers.set(drawn.subarray(0, Math.min(drawn.length, numbers.length - at)), at);
  }
  const texts = Array.from({ length: ROWS * TEXTS }, (_, i) => drawnTexts[i % drawnTexts.length] ?? null);
  const values = columnsOf(numbers, texts);
  const profile = createProfile(spec);
  const start = performance.now();
  profile.add(ROWS, values);
  return (performance.now() - start) / 1000;
}

const microsecondsPerRow = Object.fromEntries(
  [1, 8, 64, 1024].map((batch) => [`batch_${batch}`, Number(measureBatches(batch).toFixed(3))]),
);
const result = {
  benchmark: 'profiles',
  columns: { numeric: NUMBERS, categorical: TEXTS },
  us_per_row: microsecondsPerRow,
  million_rows_s: Number(measureMillion().toFixed(3)),
  target: 'at most 2 us a row of 20 features; 1M x 20 rows in at most 2 s',
  met: Object.values(microsecondsPerRow).every((us) => us <= 2),
};
process.stdout.write(`${JSON.stringify({ ...result, met: result.met && result.million_rows_s <= 2 })}\n`);
