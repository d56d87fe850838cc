import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { ApiError } from '../../platform/index.ts';
import { functionMessage } from '../onnx/onnx-schema.ts';
import { decodeMessage } from '../onnx/protobuf-message.ts';
import { readOnnx, refuseExternalData } from '../onnx/read-onnx.ts';
import type { CodedBatch } from '../rows/code-rows.ts';
import { inferSignature, type SignatureHints } from '../signature/infer-signature.ts';
import { readMetadata, signatureOf } from '../signature/read-signature.ts';
import type { Signature } from '../signature/signature.ts';
import { type BatchOutput, FEATURE_PREFIX, joinOutputs, readOutputs } from './read-outputs.ts';

/** A model that is ready to predict. It lives and dies in the thread that made it. */
export interface ModelSession {
  readonly signature: Signature;
  /** The file's metadata_props. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Predicts. The native call blocks the thread, in a later turn of the event loop. */
  run(batch: CodedBatch): Promise<BatchOutput>;
  release(): Promise<void>;
}

export interface SessionOptions {
  /** Threads that work on one run; more than 1 pays for large models and large batches only. */
  threads?: number;
  /** What a file without a signature cannot say. */
  hints?: SignatureHints;
}

/**
 * Loads a model. Blocks the thread while ONNX Runtime builds it (about 1 s for a 32 MB forest). Throws
 * INVALID_PARAMETER_VALUE, saying what is wrong, when the bytes are no model that can be served.
 */
export async function createSession(bytes: Uint8Array, options: SessionOptions = {}): Promise<ModelSession> {
  const metadata = readMetadata(bytes);
  const signature = signatureOf(metadata) ?? inferSignature(readOnnx(bytes), options.hints).signature;
  refuseExternalData(bytes);
  const ort = await loadRuntime();
  const native = await createNative(ort, bytes, options.threads ?? 1);
  try {
    return wrapSession(ort, native, signature, metadata);
  } catch (error) {
    await native.release();
    throw error;
  }
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
    const why = unknownOperators(bytes) ?? plainReason(error);
    throw new ApiError('INVALID_PARAMETER_VALUE', `ONNX Runtime refuses the model: ${why}`, undefined, {
      cause: error,
    });
  }
}

/** Native messages carry C++ places and type names, which help nobody who made the model in Python. */
function plainReason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text
    .replace(/^Error: /, '')
    .replace(/\/onnxruntime_src\/\S+ (?:[^()]*\([^)]*\)(?: const)?(?: \[with [^\]]*\])? )?/g, '')
    .slice(0, 500);
}

const KNOWN_DOMAINS = new Set(['', 'ai.onnx', 'ai.onnx.ml', 'com.microsoft', 'com.microsoft.nchwc']);

/** Operators that need code from outside of ONNX Runtime, in words; undefined when there are none. */
function unknownOperators(bytes: Uint8Array): string | undefined {
  const { graph, functions } = readOnnx(bytes);
  const own = new Set(functions.map((body) => decodeMessage(functionMessage, body).domain ?? ''));
  const unknown = new Set<string>();
  for (const { domain = '', opType = '' } of graph.nodes) {
    if (!KNOWN_DOMAINS.has(domain) && !own.has(domain)) unknown.add(`${domain}.${opType}`);
  }
  if (unknown.size === 0) return undefined;
  return `it uses operators of its own (${[...unknown].slice(0, 5).join(', ')}), whose code is never loaded`;
}

/** How an input or output is shaped, in the graph's own words; a free dimension is a name. */
interface Shape {
  name: string;
  isTensor: boolean;
  shape?: readonly (number | string)[];
}

/** Throws when the graph has not the inputs and outputs of which the signature speaks. */
function checkNames(session: InferenceSession, signature: Signature): void {
  const misfit = (what: string) =>
    new ApiError('INVALID_PARAMETER_VALUE', `The model does not fit its signature: ${what}`);
  for (const { name, elementType, columns } of signature.inputs) {
    const input = session.inputMetadata.find((known) => known.name === name);
    if (!input) throw misfit(`it has no input ${JSON.stringify(name)}`);
    if (!input.isTensor) throw misfit(`its input ${JSON.stringify(name)} is no tensor`);
    if (input.type !== elementType) {
      throw misfit(`its input ${JSON.stringify(name)} takes ${input.type}, not ${elementType}`);
    }
    const width = input.shape.length === 1 ? 1 : input.shape[1];
    if (typeof width === 'number' && width !== columns.length) {
      throw misfit(`its input ${JSON.stringify(name)} takes ${width} columns, not ${columns.length}`);
    }
  }
  for (const name of session.inputNames) {
    if (!signature.inputs.some((input) => input.name === name)) {
      throw misfit(`its input ${JSON.stringify(name)} is not in it`);
    }
  }
  for (const name of outputNames(signature)) {
    if (!session.outputNames.includes(name)) throw misfit(`it has no output ${JSON.stringify(name)}`);
  }
}

function outputNames({ output }: Signature): string[] {
  if (output.task === 'regression') return [output.value];
  return output.label === undefined ? [output.probabilities] : [output.probabilities, output.label];
}

/** The derived columns that the graph hands out, one value for each row. */
function derivedColumns(session: InferenceSession): string[] {
  return (session.outputMetadata as readonly (Shape & { type?: string })[])
    .filter(
      ({ name, isTensor, type, shape = [] }) =>
        name.startsWith(FEATURE_PREFIX) &&
        isTensor &&
        (type === 'float32' || type === 'string') &&
        (shape.length === 1 || (shape.length === 2 && shape[1] === 1)),
    )
    .map(({ name }) => name.slice(FEATURE_PREFIX.length));
}

function wrapSession(
  ort: Runtime,
  session: InferenceSession,
  signature: Signature,
  metadata: Readonly<Record<string, string>>,
): ModelSession {
  checkNames(session, signature);
  const derived = derivedColumns(session);
  const fetches = [...outputNames(signature), ...derived.map((name) => FEATURE_PREFIX + name)];
  const shapes = new Map(
    (session.inputMetadata as readonly Shape[]).map((input) => [input.name, input.shape ?? []]),
  );
  const inputs = signature.inputs.map(({ name, elementType, columns }) => ({
    name,
    elementType,
    width: columns.length,
    isList: shapes.get(name)?.length === 1,
  }));
  const fixedRows = fixedRowCount(shapes);

  async function runOnce({ rows, tensors }: CodedBatch): Promise<BatchOutput> {
    let results: InferenceSession.OnnxValueMapType;
    try {
      const feeds: Record<string, Tensor> = {};
      for (const { name, elementType, width, isList } of inputs) {
        const dims = isList ? [rows] : [rows, width];
        feeds[name] = new ort.Tensor(elementType, tensors[name] as Float32Array, dims) as Tensor;
      }
      results = await session.run(feeds, fetches);
    } catch (error) {
      const message = `The model failed on ${rows} rows: ${plainReason(error)}`;
      throw new ApiError('INTERNAL_ERROR', message, undefined, { cause: error });
    }
    return readOutputs(signature.output, results, rows, derived);
  }

  async function runRowByRow(batch: CodedBatch): Promise<BatchOutput> {
    const parts: BatchOutput[] = [];
    for (let row = 0; row < batch.rows; row++) {
      const tensors: CodedBatch['tensors'] = {};
      for (const { name, width } of inputs)
        tensors[name] = batch.tensors[name]!.slice(row * width, (row + 1) * width);
      parts.push(await runOnce({ rows: 1, tensors }));
    }
    return joinOutputs(parts);
  }

  return {
    signature,
    metadata,
    run: (batch) => (fixedRows === 1 && batch.rows !== 1 ? runRowByRow(batch) : runOnce(batch)),
    release: () => session.release(),
  };
}

/** Some exporters fix the number of rows: one is served row by row, any other cannot be. */
function fixedRowCount(shapes: Map<string, readonly (number | string)[]>): number | undefined {
  for (const [name, [rows]] of shapes) {
    if (typeof rows !== 'number') continue;
    if (rows === 1) return 1;
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `The model's input ${JSON.stringify(name)} takes exactly ${rows} rows: export it with a free first dimension`,
    );
  }
  return undefined;
}
