import { ApiError } from '../../platform/index.ts';
import { describeValue, type ReadableModel, readOnnx, type ValueDescription } from '../onnx/read-onnx.ts';
import { graphInputs, inferSignature } from './infer-signature.ts';
import { FRAMEWORK_KEY, metadataOf, signatureOf } from './read-signature.ts';
import type { Signature } from './signature.ts';

/** What a model file says about itself, as `tidemill inspect` shows it. */
export interface OnnxDescription {
  sizeBytes: number;
  irVersion: number;
  producer: string;
  framework?: string;
  /** Operator sets by domain; the standard one is 'ai.onnx'. */
  opsets: Record<string, number>;
  inputs: ValueDescription[];
  outputs: ValueDescription[];
  /** How many nodes of each operator; the domain stands before the name where it is not the standard one. */
  nodeCounts: Record<string, number>;
  metadata: Record<string, string>;
  /** Bytes of constants and of attributes, such as weights and trees. */
  parametersBytes: number;
  signature?: Signature;
  signatureSource: 'file' | 'inferred' | 'none';
  /** Why there is no signature, and so why the model cannot be served. */
  problem?: string;
  /** What was assumed where the signature was inferred. */
  notes: string[];
}

/** Reads a model file without running it. Throws INVALID_PARAMETER_VALUE for what is no ONNX file. */
export function describeOnnx(bytes: Uint8Array): OnnxDescription {
  const model = readOnnx(bytes);
  const { graph } = model;
  const metadata = metadataOf(model);
  const nodeCounts = new Map<string, number>();
  let parametersBytes = 0;
  for (const node of graph.nodes) {
    const name = standardDomain(node.domain) ? (node.opType ?? '') : `${node.domain}.${node.opType ?? ''}`;
    nodeCounts.set(name, (nodeCounts.get(name) ?? 0) + 1);
    for (const attribute of node.attributes) parametersBytes += attribute.byteLength;
  }
  for (const initializer of graph.initializers) parametersBytes += initializer.byteLength;
  return {
    sizeBytes: bytes.byteLength,
    irVersion: Number(model.irVersion ?? 0),
    producer: [model.producerName, model.producerVersion].filter(Boolean).join(' '),
    ...(metadata[FRAMEWORK_KEY] === undefined ? {} : { framework: metadata[FRAMEWORK_KEY] }),
    opsets: Object.fromEntries(
      model.opsets.map(({ domain, version }) => [domain || 'ai.onnx', Number(version ?? 0)]),
    ),
    inputs: graphInputs(graph),
    outputs: graph.outputs.map(describeValue),
    nodeCounts: Object.fromEntries(nodeCounts),
    metadata: { ...metadata },
    parametersBytes,
    ...describeSignature(model, metadata),
  };
}

const standardDomain = (domain: string | undefined): boolean => !domain || domain === 'ai.onnx';

function describeSignature(
  model: ReadableModel,
  metadata: Record<string, string>,
): Pick<OnnxDescription, 'signature' | 'signatureSource' | 'problem' | 'notes'> {
  try {
    const signature = signatureOf(metadata);
    if (signature) return { signature, signatureSource: 'file', notes: [] };
    return { ...inferSignature(model), signatureSource: 'inferred' };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { signatureSource: 'none', problem: error.message, notes: [] };
  }
}
