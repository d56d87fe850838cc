import type { DuckDBConnection } from '@duckdb/node-api';
import type { CompareRequest, ScoreCounts } from '../../log-messages.ts';
import { literals } from '../quote-sql.ts';
import { indexSql, scoreSql } from './scored-sql.ts';

const DECILES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
const NONE: ScoreCounts = { rows: 0, mean: undefined, bins: [] };

/** The scores of both versions, counted in bins at the champion's own deciles; undefined where one of them has none. */
export async function compareScores(
  connection: DuckDBConnection,
  predictions: string,
  { champion, candidate, answer }: CompareRequest,
): Promise<{ champion: ScoreCounts; candidate: ScoreCounts } | undefined> {
  const score = scoreSql(answer, {
    predicted: indexSql('prediction', answer),
    probabilities: 'probabilities',
  });
  const side = `list_position(${literals([champion, candidate])}, version) - 1`;
  const scored = `(SELECT * FROM (SELECT ${side} AS side, ${score} AS score FROM ${predictions}) WHERE isfinite(score))`;
  const quantiles = await connection.runAndReadAll(
    `SELECT approx_quantile(score::DOUBLE, [${DECILES.join(', ')}]) FROM ${scored} WHERE side = 0`,
  );
  const edges = [...new Set((quantiles.getRowsJS()[0]?.[0] as number[] | null) ?? [])].sort((a, b) => a - b);
  if (edges.length === 0) return undefined;
  const bin = edges.map((edge) => `(score > ${edge}::DOUBLE)::INTEGER`).join(' + ');
  const reader = await connection.runAndReadAll(
    `SELECT side, bin, count(*)::DOUBLE, fsum(score)::DOUBLE
     FROM (SELECT side, score, ${bin} AS bin FROM ${scored}) GROUP BY side, bin ORDER BY side, bin`,
  );
  const groups = reader.getRowsJS() as [number | bigint, number, number, number][];
  const [ours = NONE, theirs = NONE] = [0, 1].map((wanted): ScoreCounts => {
    const bins = Array.from({ length: edges.length + 1 }, () => 0);
    let [rows, sum] = [0, 0];
    for (const [of, index, count, total] of groups) {
      if (Number(of) !== wanted) continue;
      bins[index] = count;
      rows += count;
      sum += total;
    }
    return { rows, mean: rows === 0 ? undefined : sum / rows, bins };
  });
  return theirs.rows === 0 ? undefined : { champion: ours, candidate: theirs };
}
