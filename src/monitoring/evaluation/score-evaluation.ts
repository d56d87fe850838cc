import { readFile } from 'node:fs/promises';
import { readRows } from '../../datasets/index.ts';
import { type BatchOutput, createRowCoder, createSession, type ModelSession } from '../../models/index.ts';
import { classificationReport, regressionReport } from '../../statistics/index.ts';
import type { PerformanceMetric } from '../monitor-policy.ts';
import { findNextWindow } from '../windows/find-due-window.ts';
import type { MeasuredWindow } from '../windows/measure-performance.ts';

/** What a child process is asked: plain data. */
export interface EvaluationRequest {
  modelPath: string;
  heldOutPath: string;
  metric: PerformanceMetric;
  everyMs: number;
  /** Rows of a window, as those of serving have. */
  rows: number;
}

/** Event time of a held-out row, ms since the epoch. */
const TIME_COLUMN = '__time';
const HOUR_MS = 3_600_000;
const BATCH_ROWS = 512;
/** The newest windows say most; more rows than these are not needed for forty of them. */
const MOST_ROWS = 100_000;

interface Row {
  time: number;
  values: Record<string, unknown>;
  target: unknown;
}

/** What a version reaches on its own evaluation set, in windows as they are made of what it serves. */
export async function scoreEvaluation(request: EvaluationRequest): Promise<MeasuredWindow[]> {
  const session = await createSession(await readFile(request.modelPath));
  const { columns, output } = session.signature;
  const rows: Row[] = [];
  const text = columns.filter(({ type }) => type === 'string').map(({ name }) => name);
  for await (const batch of readRows(request.heldOutPath, { text, limit: MOST_ROWS })) {
    for (const values of batch) {
      const time = Number(values[TIME_COLUMN] ?? Number.NaN);
      if (!Number.isFinite(time)) continue;
      const target = values[output.target];
      if (target !== null && target !== undefined) rows.push({ time, values, target });
    }
  }
  const measured: MeasuredWindow[] = [];
  const byHour = new Map<number, number>();
  for (const { time } of rows) {
    const hour = Math.floor(time / HOUR_MS) * HOUR_MS;
    byHour.set(hour, (byHour.get(hour) ?? 0) + 1);
  }
  let after: number | undefined;
  for (;;) {
    const found = findNextWindow(byHour, { after, everyMs: request.everyMs, rows: request.rows });
    // The last window may be cut off by the end of the set.
    if (found === undefined || found.rows < request.rows) return measured;
    const inside = rows.filter(({ time }) => time >= found.from && time < found.to);
    measured.push({ from: found.from, to: found.to, ...(await measure(session, inside, request.metric)) });
    after = found.to;
  }
}

async function measure(
  session: ModelSession,
  rows: Row[],
  metric: PerformanceMetric,
): Promise<Omit<MeasuredWindow, 'from' | 'to'>> {
  const { output } = session.signature;
  const answers = await runRows(session, rows);
  const counts = { rows: rows.length, labelled: rows.length };
  if (output.task === 'regression') {
    const { metrics, baseline } = regressionReport(
      Float64Array.from(rows, ({ target }) => Number(target)),
      answers,
    );
    return {
      ...counts,
      value: (metrics as Record<string, number | null>)[metric] ?? undefined,
      loss: square(metrics.rmse),
      baseline: square(baseline.rmse),
    };
  }
  const indexOf = new Map(output.classes.map((each, index) => [String(each), index]));
  const known = rows.flatMap(({ target }, row) => {
    const label = indexOf.get(String(target));
    return label === undefined ? [] : [{ row, label }];
  });
  const width = output.classes.length;
  const probabilities = new Float32Array(known.length * width);
  for (const [i, { row }] of known.entries()) {
    probabilities.set(answers.subarray(row * width, (row + 1) * width), i * width);
  }
  const { metrics, baseline } = classificationReport(
    Int32Array.from(known, ({ label }) => label),
    probabilities,
    output.classes,
  );
  return {
    rows: rows.length,
    labelled: known.length,
    value: (metrics as Record<string, number | null>)[metric] ?? undefined,
    loss: metrics.log_loss ?? undefined,
    baseline: baseline.log_loss ?? undefined,
  };
}

async function runRows(session: ModelSession, rows: Row[]): Promise<Float32Array> {
  const { output } = session.signature;
  const coder = createRowCoder(session.signature);
  const width = output.task === 'regression' ? 1 : output.classes.length;
  const answers = new Float32Array(rows.length * width);
  for (let start = 0; start < rows.length; start += BATCH_ROWS) {
    const batch: BatchOutput = await session.run(
      coder.encode(rows.slice(start, start + BATCH_ROWS).map(({ values }) => values)),
    );
    const values = batch.probabilities ?? batch.values;
    if (!values) throw new Error('The model answers neither probabilities nor values');
    answers.set(values, start * width);
  }
  return answers;
}

const square = (value: number | null) => (value === null ? undefined : value ** 2);
