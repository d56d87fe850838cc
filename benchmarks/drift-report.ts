import { execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { buildRelease } from '../scripts/build-release.ts';
import { withDuckdb } from '../src/datasets/index.ts';

// `tidemill drift report` on two files of a million rows and 20 mixed columns, as a user runs it: the whole process of
// the release build, its files written. Beside it Evidently 0.7 on the same Parquet files, named by PYTHON. Prints one JSON line.
const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    /** Evidently takes minutes: it may be left out, or given fewer rows. */
    'peer-rows': { type: 'string' },
    repeats: { type: 'string', default: '3' },
    'skip-peer': { type: 'boolean', default: false },
  },
});
const rows = Number(options.rows);
const peerRows = Number(options['peer-rows'] ?? options.rows);
const folder = await mkdtemp(join(tmpdir(), 'tidemill-drift-benchmark-'));
const path = (name: string) => join(folder, name);
// Inside the repository, so that the release finds the installed packages.
const release = await mkdtemp(fileURLToPath(new URL('../.cache-bench-', import.meta.url)));
const run = promisify(execFile);

/** 15 numbers (normal, heavy-tailed, few values, partly missing) and 5 texts; in the second file one number has moved. */
async function makeFiles(suffix: string, count: number): Promise<void> {
  const normal = (scale: number) => `sqrt(-2 * ln(1 - random())) * cos(6.283185307 * random()) * ${scale}`;
  const columns = (shift: number) => [
    ...Array.from({ length: 15 }, (_, k) => {
      if (k % 5 === 1) return `exp(2 * ${normal(1)}) AS n${k}`;
      if (k % 5 === 2) return `CAST(floor(random() * 24) AS INTEGER) AS n${k}`;
      if (k % 5 === 3) return `CASE WHEN random() < 0.05 THEN NULL ELSE 100 + ${normal(1)} END AS n${k}`;
      return `${k === 0 ? shift : 0} + ${normal(k + 1)} AS n${k}`;
    }),
    ...[5, 20, 60, 300, 2000].map(
      (levels, k) => `'level ' || CAST(floor(pow(random(), 2) * ${levels}) AS INTEGER) AS c${k}`,
    ),
  ];
  const names = ['reference', 'current'].flatMap((name) => [
    `${name}${suffix}.parquet`,
    `${name}${suffix}.csv`,
  ]);
  await withDuckdb({ read: [], write: names.map(path), memoryLimitMb: 1500 }, async (session) => {
    for (const [index, name] of ['reference', 'current'].entries()) {
      await session.run(`SELECT setseed(${0.1 + index / 10})`);
      await session.run(
        `CREATE TEMP TABLE made AS SELECT ${columns(index * 0.3).join(', ')} FROM range(${count})`,
      );
      await session.run(`COPY made TO '${path(`${name}${suffix}.parquet`)}' (FORMAT parquet)`);
      await session.run(`COPY made TO '${path(`${name}${suffix}.csv`)}' (HEADER)`);
      await session.run('DROP TABLE made');
    }
  });
}

interface Taken {
  seconds: number;
  rss_mb: number;
}

/** The whole process from its start to its end, and the most memory that it held. */
function report(suffix: string, format: string): Promise<Taken> {
  const began = performance.now();
  const child = spawn(
    process.execPath,
    [
      join(release, 'bin/tidemill.js'),
      'drift',
      'report',
      path(`reference${suffix}.${format}`),
      path(`current${suffix}.${format}`),
      '--html',
      path('report.html'),
      '--json',
      path('report.json'),
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  let peakKb = 0;
  const look = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      peakKb = Math.max(peakKb, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
    } catch {
      // It has ended.
    }
  }, 10);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      clearInterval(look);
      const seconds = (performance.now() - began) / 1000;
      if (code === 0) resolve({ seconds, rss_mb: Math.round(peakKb / 1024) });
      else reject(new Error(`drift report ended with ${code}`));
    });
  });
}

async function best(suffix: string, format: string): Promise<Taken> {
  let found: Taken | undefined;
  for (let repeat = 0; repeat < Number(options.repeats); repeat++) {
    const taken = await report(suffix, format);
    if (found === undefined || taken.seconds < found.seconds) {
      found = { ...taken, rss_mb: Math.max(taken.rss_mb, found?.rss_mb ?? 0) };
    }
  }
  return found!;
}

async function peer(
  suffix: string,
): Promise<(Taken & { version: string; without_imports: number }) | string> {
  const python = process.env['PYTHON'] ?? '';
  if (options['skip-peer']) return 'left out';
  if (python === '' || !existsSync(python)) return 'no PYTHON named';
  const args = ['reference', 'current'].map((name) => path(`${name}${suffix}.parquet`));
  try {
    const { stdout } = await run(
      python,
      ['-W', 'ignore', 'benchmarks/peers/drift_report.py', ...args, path('evidently.html')],
      { maxBuffer: 2 ** 26 },
    );
    return JSON.parse(stdout.trim().split('\n').at(-1)!);
  } catch (error) {
    return `failed: ${(error as Error).message.slice(-300)}`;
  }
}

try {
  await buildRelease({ outDir: release });
  await makeFiles('', rows);
  if (peerRows !== rows) await makeFiles('-peer', peerRows);
  const parquet = await best('', 'parquet');
  const csv = await best('', 'csv');
  const found = JSON.parse(readFileSync(path('report.json'), 'utf8')) as { drift: { columns: string[] } };
  const same = peerRows === rows ? parquet : await best('-peer', 'parquet');
  const evidently = await peer(peerRows === rows ? '' : '-peer');
  console.log(
    JSON.stringify({
      benchmark: 'drift-report',
      rows,
      columns: 20,
      drifted: found.drift.columns,
      parquet,
      csv,
      evidently: typeof evidently === 'string' ? evidently : { rows: peerRows, ...evidently },
      ...(typeof evidently === 'string'
        ? {}
        : {
            times_faster: Number((evidently.seconds / same.seconds).toFixed(1)),
            times_faster_without_imports: Number((evidently.without_imports / same.seconds).toFixed(1)),
          }),
    }),
  );
} finally {
  await rm(folder, { recursive: true, force: true });
  await rm(release, { recursive: true, force: true });
}
