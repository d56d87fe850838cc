/**
 * What coding rows, running a model and writing and reading ONNX files cost, one JSON line: times are medians in
 * microseconds or milliseconds, in this process, one thread.
 *
 *     node benchmarks/models.ts
 */
import { createRowCoder, createSession, describeOnnx, readMetadata } from '../src/models/index.ts';
import { seededRandom, syntheticForest } from '../tests/support/synthetic-models.ts';

const FEATURES = 20;
const random = seededRandom(1);

function medianMicros(runs: number, work: () => void): number {
  const times = Array.from({ length: runs }, () => {
    const start = performance.now();
    work();
    return (performance.now() - start) * 1000;
  });
  return round(times.sort((a, b) => a - b)[runs >> 1]!);
}

async function medianRunMicros(runs: number, work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < runs; run++) {
    const start = performance.now();
    await work();
    times.push((performance.now() - start) * 1000);
  }
  return round(times.sort((a, b) => a - b)[runs >> 1]!);
}

const round = (value: number): number => Number(value.toPrecision(3));

const named = (): Record<string, number> =>
  Object.fromEntries(Array.from({ length: FEATURES }, (_, index) => [`f${index}`, random()]));

/** As a request's body arrives: an object that JSON.parse made. */
const parsed = (): Record<string, number> => JSON.parse(JSON.stringify(named())) as Record<string, number>;

async function measureForest(trees: number) {
  const memory = process.memoryUsage.rss();
  let started = performance.now();
  const forest = syntheticForest({ trees, depth: 6, features: FEATURES, classes: ['no', 'yes'] });
  const writeMs = performance.now() - started;
  const { bytes } = forest;
  const metadataMicros = medianMicros(20, () => readMetadata(bytes));
  const describeMicros = medianMicros(5, () => describeOnnx(bytes));
  started = performance.now();
  const session = await createSession(bytes);
  const createMs = performance.now() - started;
  const coder = createRowCoder(session.signature);
  const rows = Array.from({ length: 64 }, parsed);
  const one = coder.encode(rows.slice(0, 1));
  const many = coder.encode(rows);
  const runs = trees > 1000 ? 100 : 5000;
  const rowMicros = await medianRunMicros(runs, () => session.run(one));
  const batchMicros = await medianRunMicros(Math.ceil(runs / 20), () => session.run(many));
  await session.release();
  return {
    trees,
    megabytes: round(bytes.byteLength / 1e6),
    write_ms: round(writeMs),
    read_metadata_us: metadataMicros,
    describe_us: describeMicros,
    create_ms: round(createMs),
    rss_growth_mb: round((process.memoryUsage.rss() - memory) / 1e6),
    row_us: rowMicros,
    row_in_64_us: round(batchMicros / 64),
  };
}

function measureCoding() {
  const { signature } = syntheticForest({ trees: 1, depth: 1, features: FEATURES });
  const coder = createRowCoder(signature);
  const rows = Array.from({ length: 1000 }, parsed);
  const singles = rows.map((row) => [row]);
  const encodeSingles = () => {
    for (const row of singles) coder.encode(row);
  };
  const batches = singles.slice(0, 64).map((row) => coder.encode(row));
  return {
    features: FEATURES,
    encode_one_us: round(medianMicros(50, encodeSingles) / rows.length),
    encode_row_in_1000_us: round(medianMicros(50, () => coder.encode(rows)) / rows.length),
    concat_64_us: medianMicros(2000, () => coder.concat(batches)),
  };
}

const coding = measureCoding();
const small = await measureForest(100);
const large = await measureForest(11_000);
process.stdout.write(
  `${JSON.stringify({ benchmark: 'models', node: process.version, coding, small, large })}\n`,
);
