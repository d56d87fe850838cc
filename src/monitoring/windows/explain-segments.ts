import type { Logger } from '../../platform/index.ts';
import type { Span } from '../alarms/alarm.ts';
import { type DecomposedChange, decomposeChange, type SegmentMean } from '../drift/decompose-change.ts';

/** Runs one SELECT over the prediction log's view `predictions`. */
export type QueryLog = (
  sql: string,
  options: { limitRows?: number; timeoutMs?: number; signal?: AbortSignal },
) => Promise<{ rows: unknown[][] }>;

export interface SegmentQuestion {
  model: string;
  version: string;
  task: string | undefined;
  columns: readonly string[];
  before: Span;
  now: Span;
}

const MOST_SEGMENTS = 50;

/**
 * Takes a change of performance apart by the values of columns: the share of wrong answers, or the mean squared error
 * of values, which unlike a rank statistic are means over rows.
 */
export async function explainBySegments(
  query: QueryLog,
  question: SegmentQuestion,
  logger: Logger,
): Promise<Record<string, { of: string } & DecomposedChange>> {
  const found: Record<string, { of: string } & DecomposedChange> = {};
  const isValue = question.task === 'regression';
  for (const column of question.columns) {
    try {
      const { rows } = await query(segmentSql(question, column, isValue), {
        limitRows: 10_000,
        timeoutMs: 10_000,
      });
      const sides = { before: [] as SegmentMean[], now: [] as SegmentMean[] };
      for (const [side, segment, count, mean] of rows) {
        sides[side === 'now' ? 'now' : 'before'].push({
          segment: String(segment),
          rows: Number(count),
          mean: Number(mean),
        });
      }
      const change = decomposeChange(sides.before, sides.now);
      if (change === undefined) continue;
      found[column] = {
        of: isValue ? 'mean squared error' : 'share of wrong answers',
        ...change,
        segments: change.segments.slice(0, MOST_SEGMENTS),
      };
    } catch (error) {
      // The alarm matters more than its explanation.
      logger.warn({ err: error, model: question.model, column }, 'a segment cannot be explained');
    }
  }
  return found;
}

function segmentSql(
  { model, version, before, now }: SegmentQuestion,
  column: string,
  isValue: boolean,
): string {
  const text = (value: string) => `'${value.replaceAll("'", "''")}'`;
  const path = text(`$."${column.replaceAll('"', '\\"')}"`);
  const during = ({ from, to }: Span) => `epoch_ms(timestamp) >= ${from} AND epoch_ms(timestamp) < ${to}`;
  const error = isValue
    ? 'power(TRY_CAST(prediction AS DOUBLE) - TRY_CAST(label AS DOUBLE), 2)'
    : 'CASE WHEN CAST(prediction AS VARCHAR) = CAST(label AS VARCHAR) THEN 0.0 ELSE 1.0 END';
  return `SELECT CASE WHEN ${during(now)} THEN 'now' ELSE 'before' END AS side,
      coalesce(json_extract_string(features, ${path}), 'missing') AS segment, count(*) AS n, avg(${error})::DOUBLE AS m
    FROM predictions
    WHERE model = ${text(model)} AND version = ${text(version)} AND variant <> 'shadow' AND label IS NOT NULL
      AND ((${during(now)}) OR (${during(before)}))
    GROUP BY ALL ORDER BY n DESC`;
}
