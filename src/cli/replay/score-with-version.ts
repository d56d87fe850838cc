import { createRowCoder, createSession } from '../../models/index.ts';
import type { HttpClient } from '../http/http-client.ts';
import type { ReplayRow } from './replay-table.ts';

const BATCH_ROWS = 1024;

/**
 * The probability of the second of two classes that one version gives to every row, computed here from its file as the
 * registry hands it out: what would have been answered, had that version never been replaced.
 */
export async function scoreWithVersion(
  client: HttpClient,
  { model, version }: { model: string; version: string },
  rows: readonly ReplayRow[],
): Promise<Float64Array> {
  const path = `/api/v1/models/${encodeURIComponent(model)}/versions/${version}/model`;
  const onnx = new Uint8Array(await (await client.download(path)).arrayBuffer());
  const session = await createSession(onnx);
  const coder = createRowCoder(session.signature);
  const scores = new Float64Array(rows.length);
  try {
    for (let start = 0; start < rows.length; start += BATCH_ROWS) {
      const batch = rows.slice(start, start + BATCH_ROWS).map(({ features }) => features);
      const { probabilities = [] } = await session.run(coder.encode(batch));
      for (let i = 0; i < batch.length; i++) scores[start + i] = probabilities[2 * i + 1] as number;
    }
  } finally {
    await session.release();
  }
  return scores;
}
