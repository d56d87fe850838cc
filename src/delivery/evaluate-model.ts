import { type LabelledRows, scoreModel } from './judge/score-model.ts';

export interface Evaluation {
  task: string;
  target: string;
  rows: number;
  metrics: Record<string, number | null>;
  /** Per-class figures and confusion for a classifier; metrics of a guesser beside them. */
  report: object;
}

/**
 * Measures a model on labelled rows, in this process.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when the bytes are no model, or the rows do not fit it.
 */
export async function evaluateModel({
  onnx,
  ...labelled
}: { onnx: Uint8Array } & LabelledRows): Promise<Evaluation> {
  const { createSession } = await import('../models/index.ts');
  const session = await createSession(onnx);
  try {
    const { output } = session.signature;
    const { metrics, report, rows } = await scoreModel(session, labelled);
    return { task: output.task, target: output.target, rows, metrics, report };
  } finally {
    await session.release();
  }
}
