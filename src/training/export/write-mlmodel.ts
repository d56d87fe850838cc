import { createHash } from 'node:crypto';
import type { TrainedModel } from '../train.ts';

/**
 * The `MLmodel` file beside a model: by it `mlflow.onnx.load_model` finds the file. YAML is a superset of JSON, so the
 * values are written as JSON, which needs no quoting rules of its own.
 */
export function writeMlmodel(made: {
  /** Left out where no run is known yet. */
  runId: string | undefined;
  /** Milliseconds since the epoch. */
  createdAt: number;
  onnx: Uint8Array;
  model: Pick<TrainedModel, 'signature' | 'report'>;
}): string {
  const { output } = made.model.signature;
  // The same model has the same id.
  const id = createHash('sha256')
    .update(made.runId ?? '')
    .update(made.onnx)
    .digest('hex')
    .slice(0, 32);
  const inputs = made.model.signature.columns.map(({ name, type, nullable }) => ({
    name,
    type,
    required: !nullable,
  }));
  const answers = [
    { name: output.target, type: output.task === 'regression' ? 'double' : typeNameOf(output.classes[0]) },
  ];
  const entries: Record<string, unknown> = {
    artifact_path: 'model',
    flavors: {
      onnx: {
        code: null,
        data: 'model.onnx',
        onnx_version: '1.12.0',
        providers: ['CPUExecutionProvider'],
        save_as_external_data: false,
      },
    },
    mlflow_version: '2.22.0',
    model_size_bytes: made.onnx.byteLength,
    model_uuid: id,
    ...(made.runId === undefined ? {} : { run_id: made.runId }),
    signature: { inputs: JSON.stringify(inputs), outputs: JSON.stringify(answers), params: null },
    utc_time_created: new Date(made.createdAt).toISOString().replace('T', ' ').replace('Z', ''),
  };
  return `${Object.entries(entries)
    .map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
    .join('\n')}\n`;
}

function typeNameOf(value: string | number | boolean | undefined): string {
  return typeof value === 'number' ? 'double' : typeof value === 'boolean' ? 'boolean' : 'string';
}
