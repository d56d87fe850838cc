import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { usageError } from '../terminal/cli-error.ts';
import { csvCell } from '../terminal/csv-cell.ts';

export interface Prediction {
  prediction_id: string;
  prediction: string | number | boolean;
  confidence?: number;
  model_version: string;
}

/** JSON has neither big integers nor dates. */
export function toJsonRow(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? Number(value) : value instanceof Date ? value.toISOString() : value,
    ]),
  );
}

/**
 * Writes rows with their predictions as CSV or JSON lines, by the name of `out`; without one to `print`, or where they
 * are to be kept, into `kept`. The file gets its name at the end, so that what was there before outlives a failure.
 */
export function openPredictionWriter(
  out: string | undefined,
  { cwd, isKept, print }: { cwd: string; isKept: boolean; print: (text: string) => unknown },
) {
  const kept: Record<string, unknown>[] = [];
  const isLines = out !== undefined && ['.jsonl', '.ndjson', '.json'].includes(extname(out));
  if (out !== undefined && !isLines && extname(out) !== '.csv') {
    throw usageError(`--out ${out}: the name must end in .csv or .jsonl`);
  }
  const place = out === undefined ? undefined : resolve(cwd, out);
  const partial = `${place}.partial`;
  const file: Writable | undefined = place === undefined ? undefined : createWriteStream(partial);
  const failed = file && new Promise<never>((_, reject) => file.once('error', reject));
  failed?.catch(() => {});
  let headings: string[] | undefined;

  const emit = async (text: string) => {
    if (!file) {
      print(text);
      return;
    }
    if (file.write(text)) return;
    await Promise.race([new Promise<void>((resume) => file.once('drain', () => resume())), failed]);
  };

  return {
    kept,
    async write(rows: Record<string, unknown>[], predictions: Prediction[]): Promise<void> {
      const complete = rows.map((row, i) => {
        const { prediction_id, prediction, confidence, model_version } = predictions[i] as Prediction;
        return {
          ...toJsonRow(row),
          prediction,
          ...(confidence !== undefined && { confidence }),
          model_version,
          prediction_id,
        };
      });
      if (out === undefined && isKept) kept.push(...complete);
      else if (isLines) await emit(complete.map((row) => `${JSON.stringify(row)}\n`).join(''));
      else {
        let text = '';
        if (headings === undefined && complete[0] !== undefined) {
          headings = Object.keys(complete[0]);
          text = `${headings.map(csvCell).join(',')}\n`;
        }
        for (const row of complete as Record<string, unknown>[]) {
          text += `${headings?.map((name) => csvCell(row[name])).join(',')}\n`;
        }
        await emit(text);
      }
    },
    async close(): Promise<void> {
      if (!file || place === undefined) return;
      await Promise.race([new Promise<void>((done) => file.end(() => done())), failed]);
      await rename(partial, place);
    },
    /** Leaves what the file was before. */
    async discard(): Promise<void> {
      if (!file) return;
      file.destroy();
      await rm(partial, { force: true });
    },
  };
}
