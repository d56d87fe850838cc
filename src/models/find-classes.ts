import type { OnnxNode } from './onnx-schema.ts';
import { decodeText, type OnnxGraph, readAttribute, readTensor, tensorValues } from './read-onnx.ts';
import type { ClassValue } from './signature.ts';

/** The attributes in which classifiers and ZipMap keep their classes. */
const CLASS_TEXTS = ['classlabels_strings'];
const CLASS_INTEGERS = ['classlabels_int64s', 'classlabels_ints'];

/**
 * The classes of a classifier, in the order of its probabilities: those of the node that makes the label, else of
 * whatever lies before it (skl2onnx picks labels out of a constant by ArrayFeatureExtractor), else of any node.
 */
export function findClasses(graph: OnnxGraph, labelOutput: string | undefined): ClassValue[] | undefined {
  const makers = producers(graph);
  const queue = labelOutput === undefined ? [] : [labelOutput];
  const seen = new Set<string>();
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const node = makers.get(name);
    if (!node) continue;
    const classes = classesOf(node) ?? pickedConstant(graph, node);
    if (classes) return classes;
    queue.push(...node.inputs);
  }
  for (const node of graph.nodes) {
    const classes = classesOf(node);
    if (classes) return classes;
  }
  return undefined;
}

function classesOf(node: OnnxNode): ClassValue[] | undefined {
  for (const name of CLASS_TEXTS) {
    const texts = readAttribute(node, name)?.strings ?? [];
    if (texts.length > 0) return texts.map(decodeText);
  }
  for (const name of CLASS_INTEGERS) {
    const integers = readAttribute(node, name)?.ints ?? [];
    if (integers.length > 0) return integers.map(Number);
  }
  return undefined;
}

function pickedConstant(graph: OnnxGraph, node: OnnxNode): ClassValue[] | undefined {
  if (node.opType !== 'ArrayFeatureExtractor') return undefined;
  const bytes = graph.initializers.find((initializer) => readTensor(initializer).name === node.inputs[0]);
  const values = bytes && tensorValues(readTensor(bytes));
  return values && values.length > 1
    ? values.map((value) => (typeof value === 'bigint' ? Number(value) : value))
    : undefined;
}

function producers(graph: OnnxGraph): Map<string, OnnxNode> {
  return new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
}

/** The operator that makes a value; undefined for inputs and constants. */
export function producerOf(graph: OnnxGraph, name: string): string | undefined {
  return graph.nodes.find((node) => node.outputs.includes(name))?.opType;
}

const PLAIN = new Set(['Identity', 'Cast', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten']);

/** Follows a value back through nodes that leave its numbers as they are. */
export function tracePlain(graph: OnnxGraph, name: string): string {
  let current = name;
  for (let steps = 0; steps < graph.nodes.length; steps++) {
    const node = graph.nodes.find(({ outputs }) => outputs.includes(current));
    if (!node || !PLAIN.has(node.opType ?? '') || !node.inputs[0]) return current;
    current = node.inputs[0];
  }
  return current;
}
