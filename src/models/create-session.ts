import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { ApiError } from '../platform/index.ts';
import type { TensorData } from './code-column.ts';
import type { CodedBatch } from './code-rows.ts';
import { type BatchOutput, readOutputs } from './read-outputs.ts';
import { readSignature } from './read-signature.ts';
import type { Signature } from './signature.ts';

/** A model that is ready to predict. It lives and dies in the thread that made it. */
export interface ModelSession {
  readonly signature: Signature;
  /** Predicts. The native call blocks the thread, in a later turn of the event loop. */
  run(batch: CodedBatch): Promise<BatchOutput>;
  release(): Promise<void>;
}

export interface SessionOptions {
  /** Threads that work on one run; more than 1 pays for large models and large batches only. */
  threads?: number;
  /** Replaces what the file says about itself. */
  signature?: Signature;
}

/**
 * Loads a model. Blocks the thread while ONNX Runtime builds it (about 1.3 s for a 32 MB forest). Throws
 * INVALID_PARAMETER_VALUE, saying what is wrong, when the bytes are no model that can be served.
 */
export async function createSession(bytes: Uint8Array, options: SessionOptions = {}): Promise<ModelSession> {
  const signature = options.signature ?? readSignature(bytes);
  const ort = await loadRuntime();
  const session = await createNative(ort, bytes, options.threads ?? 1);
  const missing = checkNames(session, signature);
  if (missing) {
    await session.release();
    throw new ApiError('INVALID_PARAMETER_VALUE', `The model does not fit its signature: ${missing}`);
  }
  return wrapSession(ort, session, signature);
}

type Runtime = typeof import('onnxruntime-node');

async function loadRuntime(): Promise<Runtime> {
  try {
    return await import('onnxruntime-node');
  } catch (error) {
    throw new ApiError(
      'INTERNAL_ERROR',
      `ONNX Runtime cannot be loaded (${(error as Error).message}). It is installed by npm with the package; where nuget.org cannot be reached, install with ONNXRUNTIME_NODE_INSTALL=skip`,
      undefined,
      { cause: error },
    );
  }
}

async function createNative(ort: Runtime, bytes: Uint8Array, threads: number): Promise<InferenceSession> {
  try {
    return await ort.InferenceSession.create(bytes, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      // It would write what we throw to standard error too, past our own log.
      logSeverityLevel: 4,
    });
  } catch (error) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `ONNX Runtime refuses the model: ${plainReason(error)}`,
      undefined,
      {
        cause: error,
      },
    );
  }
}

/** Native messages carry C++ places and type names, which help nobody who made the model in Python. */
function plainReason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text
    .replace(/^Error: /, '')
    .replace(/\/[^\s:]*\/onnxruntime\/[^\s]+ /g, '')
    .slice(0, 500);
}

function checkNames(session: InferenceSession, signature: Signature): string | undefined {
  for (const { name } of signature.inputs) {
    if (!session.inputNames.includes(name)) return `it has no input ${JSON.stringify(name)}`;
  }
  for (const name of session.inputNames) {
    if (!signature.inputs.some((input) => input.name === name))
      return `its input ${JSON.stringify(name)} is not in it`;
  }
  for (const name of outputNames(signature)) {
    if (!session.outputNames.includes(name)) return `it has no output ${JSON.stringify(name)}`;
  }
  return undefined;
}

function outputNames({ output }: Signature): string[] {
  if (output.task === 'regression') return [output.value];
  return output.label === undefined ? [output.probabilities] : [output.probabilities, output.label];
}

function wrapSession(ort: Runtime, session: InferenceSession, signature: Signature): ModelSession {
  const fetches = outputNames(signature);
  const { inputs } = signature;
  return {
    signature,
    async run(batch) {
      const feeds: Record<string, Tensor> = {};
      for (const { name, elementType, columns } of inputs) {
        const data = batch.tensors[name] as TensorData;
        feeds[name] = new ort.Tensor(elementType, data as Float32Array, [
          batch.rows,
          columns.length,
        ]) as Tensor;
      }
      let results: InferenceSession.OnnxValueMapType;
      try {
        results = await session.run(feeds, fetches);
      } catch (error) {
        throw new ApiError(
          'INTERNAL_ERROR',
          `The model failed on ${batch.rows} rows: ${plainReason(error)}`,
          undefined,
          {
            cause: error,
          },
        );
      }
      return readOutputs(signature.output, results, batch.rows);
    },
    release: () => session.release(),
  };
}
