import type { OnnxNode } from '../onnx/onnx-schema.ts';
import { type FieldBudget, fieldBudget } from '../onnx/protobuf-message.ts';
import {
  decodeText,
  type OnnxGraph,
  readAttribute,
  readTensor,
  tensorNames,
  tensorValues,
} from '../onnx/read-onnx.ts';
import type { ClassValue } from './signature.ts';

/** The attributes in which classifiers and ZipMap keep their classes. */
const CLASS_TEXTS = ['classlabels_strings'];
const CLASS_INTEGERS = ['classlabels_int64s', 'classlabels_ints'];

/**
 * The classes of a classifier, in the order of its probabilities: those of the node that makes the label, else of
 * whatever lies before it (skl2onnx picks labels out of a constant by ArrayFeatureExtractor), else of any node.
 */
export function findClasses(
  graph: OnnxGraph,
  makers: Producers,
  labelOutput: string | undefined,
): ClassValue[] | undefined {
  const budget = fieldBudget(MOST_FIELDS);
  const queue = labelOutput === undefined ? [] : [labelOutput];
  const seen = new Set(queue);
  // What is appended meanwhile is visited too.
  for (const name of queue) {
    const node = makers.get(name);
    if (!node) continue;
    const classes = classesOf(node, budget) ?? pickedConstant(graph, node, budget);
    if (classes) return classes;
    for (const input of node.inputs) {
      if (seen.has(input)) continue;
      seen.add(input);
      queue.push(input);
    }
  }
  for (const node of graph.nodes) {
    const classes = classesOf(node, budget);
    if (classes) return classes;
  }
  return undefined;
}

/** Classes are few; lists beyond this were made to keep us busy. */
const MOST_FIELDS = 2_000_000;

function classesOf(node: OnnxNode, budget: FieldBudget): ClassValue[] | undefined {
  for (const name of CLASS_TEXTS) {
    const texts = readAttribute(node, name, budget)?.strings ?? [];
    if (texts.length > 0) return texts.map(decodeText);
  }
  for (const name of CLASS_INTEGERS) {
    const integers = readAttribute(node, name, budget)?.ints ?? [];
    if (integers.length > 0) return integers.map(Number);
  }
  return undefined;
}

function pickedConstant(graph: OnnxGraph, node: OnnxNode, budget: FieldBudget): ClassValue[] | undefined {
  if (node.opType !== 'ArrayFeatureExtractor') return undefined;
  const place = tensorNames(graph.initializers, budget).indexOf(node.inputs[0]);
  const bytes = graph.initializers[place];
  const values = bytes && tensorValues(readTensor(bytes, budget));
  return values && values.length > 1
    ? values.map((value) => (typeof value === 'bigint' ? Number(value) : value))
    : undefined;
}

/** The node that makes each value; inputs and constants have none. */
export type Producers = ReadonlyMap<string, OnnxNode>;

export function producers(graph: OnnxGraph): Producers {
  return new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
}

const PLAIN = new Set(['Identity', 'Cast', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten']);

/** Follows a value back through nodes that leave its numbers as they are. */
export function tracePlain(makers: Producers, name: string): string {
  let current = name;
  for (let steps = 0; steps < makers.size; steps++) {
    const node = makers.get(current);
    if (!node || !PLAIN.has(node.opType ?? '') || !node.inputs[0]) return current;
    current = node.inputs[0];
  }
  return current;
}
