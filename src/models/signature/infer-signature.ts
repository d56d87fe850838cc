import { ApiError } from '../../platform/index.ts';
import { fieldBudget } from '../onnx/protobuf-message.ts';
import {
  describeValue,
  type OnnxGraph,
  type ReadableModel,
  readAttribute,
  tensorNames,
  type ValueDescription,
} from '../onnx/read-onnx.ts';
import { findClasses, producers, tracePlain } from './find-classes.ts';
import {
  type ClassValue,
  ELEMENT_TYPES,
  type ElementType,
  type InputColumn,
  type OutputSpec,
  type Signature,
  signatureSchema,
} from './signature.ts';

/** What the file cannot say, when someone else knows it. */
export interface SignatureHints {
  /** The columns' names in the order of the graph's inputs. */
  columns?: readonly string[];
  classes?: readonly ClassValue[];
  target?: string;
}

export interface InferredSignature {
  signature: Signature;
  /** What was assumed, in words. */
  notes: string[];
}

const TYPES: Record<ElementType, InputColumn['type']> = {
  float32: 'double',
  float64: 'double',
  int64: 'long',
  int32: 'long',
  bool: 'boolean',
  string: 'string',
};

/**
 * The signature of a model that carries none, as skl2onnx, onnxmltools, XGBoost, LightGBM and PyTorch export them.
 * Throws INVALID_PARAMETER_VALUE, with what would help, when the graph is not one over a table.
 */
export function inferSignature(model: ReadableModel, hints: SignatureHints = {}): InferredSignature {
  const { graph } = model;
  const notes: string[] = [];
  const nullable = takesMissing(model);
  const inputs = graphInputs(graph).map((value) => ({ ...value, ...checkInput(value) }));
  if (inputs.length === 0) throw refused('it has no inputs');
  refuseTooMany(
    inputs.reduce((sum, { width }) => sum + width, 0),
    'columns',
  );
  const columns: InputColumn[] = [];
  for (const input of inputs) {
    for (const name of columnNames(input, inputs.length)) {
      const type = TYPES[input.elementType];
      columns.push({ name, type, nullable: nullable && type === 'double' });
    }
  }
  if (inputs.some(({ width }) => width > 1))
    notes.push('The file does not name its columns: they are numbered');
  renameColumns(columns, hints.columns, notes);
  let next = 0;
  const groups = inputs.map(({ name, elementType, width }) => {
    const start = next;
    next += width;
    return { name, elementType, columns: columns.slice(start, next).map((column) => column.name) };
  });
  const output = inferOutput(graph, hints, notes);
  const result = signatureSchema.safeParse({ columns, inputs: groups, output });
  if (!result.success) throw refused(result.error.issues.map(({ message }) => message).join('; '));
  return { signature: result.data, notes };
}

/** What must be fed: files before IR 4 list their initialisers among the inputs. */
export function graphInputs(graph: OnnxGraph): ValueDescription[] {
  const constants = new Set(tensorNames(graph.initializers));
  return graph.inputs.map(describeValue).filter(({ name }) => !constants.has(name));
}

function checkInput({ name, type, dims }: ValueDescription): { elementType: ElementType; width: number } {
  const label = `input ${JSON.stringify(name)}`;
  const elementType = ELEMENT_TYPES.find((known) => known === type);
  if (!elementType) throw refused(`its ${label} is ${type}; a table is fed as ${ELEMENT_TYPES.join(', ')}`);
  if (!dims) throw refused(`its ${label} does not say its shape`);
  if (dims.length === 1) return { elementType, width: 1 };
  if (dims.length !== 2) {
    throw refused(
      `it is not tabular: its ${label} has the shape [${dims.map((dim) => dim ?? '?').join(', ')}]`,
    );
  }
  const width = dims[1];
  if (typeof width !== 'number' || width < 1) {
    throw refused(
      `its ${label} does not say how many columns it takes; export it with the shape [None, columns]`,
    );
  }
  return { elementType, width };
}

function columnNames({ name, width }: { name: string; width: number }, inputs: number): string[] {
  if (width === 1) return [name];
  const prefix = inputs === 1 ? 'f' : `${name}_`;
  return Array.from({ length: width }, (_, index) => `${prefix}${index}`);
}

function renameColumns(columns: InputColumn[], names: readonly string[] | undefined, notes: string[]): void {
  if (!names) return;
  if (names.length !== columns.length) {
    throw refused(`it takes ${columns.length} columns, and ${names.length} names were given`);
  }
  columns.forEach((column, index) => {
    column.name = names[index]!;
  });
  notes.length = 0;
}

/**
 * Trees and imputers can say where a missing value goes; sums and products turn it into no answer at all. XGBoost and
 * LightGBM (written by onnxmltools) always learn it; scikit-learn's trees did if any node sends it to the true side.
 */
function takesMissing({ graph, producerName = '' }: ReadableModel): boolean {
  const operators = new Set(graph.nodes.map(({ opType }) => opType ?? ''));
  if (operators.has('Imputer')) return true;
  if (ARITHMETIC.some((name) => operators.has(name))) return false;
  const trees = graph.nodes.filter(({ opType }) => opType?.startsWith('TreeEnsemble'));
  if (trees.length > 0 && /onnxmltools/i.test(producerName)) return true;
  const budget = fieldBudget(MOST_TREE_NODES);
  return trees.some((node) =>
    readAttribute(node, 'nodes_missing_value_tracks_true', budget)?.ints.some((mark) => Number(mark) === 1),
  );
}

/** A file of 512 MiB holds no more. */
const MOST_TREE_NODES = 10_000_000;

const ARITHMETIC = [
  'MatMul',
  'Gemm',
  'Scaler',
  'LinearClassifier',
  'LinearRegressor',
  'SVMClassifier',
  'SVMRegressor',
];

function inferOutput(graph: OnnxGraph, hints: SignatureHints, notes: string[]): OutputSpec {
  const outputs = graph.outputs.map(describeValue);
  const maps = outputs.find(({ type }) => type.startsWith('sequence(') || type.startsWith('map('));
  if (maps) {
    throw refused(
      `its output ${JSON.stringify(maps.name)} is a list of maps, one for each row: export it with zipmap=False`,
    );
  }
  const labels = outputs.filter(
    ({ type }) => type === 'int64' || type === 'string' || type === 'int32' || type === 'bool',
  );
  const floats = outputs.filter(({ type }) => type === 'float32' || type === 'float64');
  const scores = onlyOne(floats);
  if (!scores) {
    const listed = outputs.map(({ name, type }) => `${name} (${type})`).join(', ');
    throw refused(
      floats.length === 0
        ? `none of its outputs holds numbers with a fraction, such as probabilities or values: ${listed}`
        : `it is not clear which of its outputs is the answer: ${listed}`,
    );
  }
  if (labels.length > 1) throw refused(`it has ${labels.length} outputs that could be the label`);
  const label = labels[0];
  const width = scoreWidth(scores);
  const target = hints.target ?? 'target';
  const makers = producers(graph);
  const source = makers.get(tracePlain(makers, scores.name))?.opType;
  const normalised = source === 'Sigmoid' || source === 'Softmax';
  if (!label && width === 1 && !normalised && !hints.classes)
    return { task: 'regression', target, value: scores.name };
  if (width === undefined && !label && !normalised) return { task: 'regression', target, value: scores.name };

  const classes = hints.classes ?? findClasses(graph, makers, label?.name) ?? numberedClasses(width, notes);
  if (!classes) throw refused('it does not say its classes, nor how many there are');
  refuseTooMany(classes.length, 'classes');
  const expected = width === 1 ? 2 : width;
  if (expected !== undefined && classes.length !== expected) {
    throw refused(
      `it has ${classes.length} classes, but its output ${JSON.stringify(scores.name)} is ${width} wide`,
    );
  }
  const activation =
    label || normalised ? undefined : width === 1 ? ('sigmoid' as const) : ('softmax' as const);
  if (activation) notes.push(`Its output is taken for scores, which ${activation} turns into probabilities`);
  return {
    task: classes.length === 2 ? 'binary' : 'multiclass',
    target,
    classes: [...classes],
    probabilities: scores.name,
    ...(label ? { label: label.name } : {}),
    ...(activation ? { activation } : {}),
  };
}

function onlyOne(floats: ValueDescription[]): ValueDescription | undefined {
  if (floats.length === 1) return floats[0];
  const named = floats.filter(({ name }) => /prob/i.test(name));
  return named.length === 1 ? named[0] : undefined;
}

/** How many numbers a row's answer has; undefined when the file does not say. */
function scoreWidth({ name, dims }: ValueDescription): number | undefined {
  if (!dims) return undefined;
  if (dims.length === 1) return 1;
  if (dims.length !== 2) {
    throw refused(
      `its output ${JSON.stringify(name)} has ${dims.length} dimensions; a table's answer has one or two`,
    );
  }
  return typeof dims[1] === 'number' ? dims[1] : undefined;
}

function numberedClasses(width: number | undefined, notes: string[]): number[] | undefined {
  if (width === undefined) return undefined;
  refuseTooMany(width, 'classes');
  notes.push('The file does not name its classes: they are numbered');
  return Array.from({ length: width === 1 ? 2 : width }, (_, index) => index);
}

/** A file of a hundred bytes can declare billions. */
const MOST_DECLARED = 10_000;

function refuseTooMany(count: number, what: 'columns' | 'classes'): void {
  if (count > MOST_DECLARED)
    throw refused(`it declares ${count} ${what}, and at most ${MOST_DECLARED} are taken`);
}

const refused = (why: string): ApiError =>
  new ApiError('INVALID_PARAMETER_VALUE', `The model carries no signature, and none can be inferred: ${why}`);
