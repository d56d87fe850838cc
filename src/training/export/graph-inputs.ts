import type { ClassValue, RawColumn, Table, TableColumn } from '../../datasets/index.ts';
import { createFeatureWriter, type Feature } from '../../features/index.ts';
import {
  type CodedBatch,
  FEATURE_PREFIX,
  type GraphInput,
  MISSING_DATETIME,
  MISSING_TEXT,
  OnnxGraphBuilder,
  type Signature,
} from '../../models/index.ts';

/** Names of the inputs that our own models have, each for one kind of column. */
export const NUMERIC_INPUT = 'numeric';
/** Numbers that derived columns are made of: in float32 a large one would have lost digits before it is computed with. */
export const PRECISE_INPUT = 'precise';
export const DATETIME_INPUT = 'datetime';
export const TEXT_INPUT = 'text';

/** Names of the outputs. */
export const PROBABILITIES = 'probabilities';
export const VALUE = 'value';

const INPUT_OF = { numeric: NUMERIC_INPUT, datetime: DATETIME_INPUT, category: TEXT_INPUT };
const ELEMENT_TYPES = {
  [NUMERIC_INPUT]: 'float32',
  [PRECISE_INPUT]: 'float64',
  [DATETIME_INPUT]: 'int64',
  [TEXT_INPUT]: 'string',
} as const;

/** Stands for a text that is not among a column's categories; no text that people write starts with U+0001. */
const UNKNOWN_TEXT = '\u0001unknown';

export interface GraphStart {
  graph: OnnxGraphBuilder;
  inputs: GraphInput[];
  /** For each column of the table: the value of the graph that holds it, and its position there. */
  places: { input: string; position: number }[];
  /** The values that hold numbers, float32, and how many columns wide each is. */
  numberBlocks: { name: string; width: number }[];
}

/**
 * Starts a graph that takes a table's raw columns: numbers as float32, those that derived columns are made of as float64,
 * dates as int64 ms, text. Derived columns are computed from them, and handed out as outputs `feature:<name>`.
 */
export function startGraph(table: Table, features: readonly Feature[] = []): GraphStart {
  const raw = table.raw ?? [];
  const names: Record<string, string[]> = {
    [NUMERIC_INPUT]: [],
    [PRECISE_INPUT]: [],
    [DATETIME_INPUT]: [],
    [TEXT_INPUT]: [],
  };
  for (const { name, type } of raw) {
    const input = { numeric: PRECISE_INPUT, datetime: DATETIME_INPUT, text: TEXT_INPUT }[type];
    names[input]!.push(name);
  }
  const rawNames = new Set(raw.map(({ name }) => name));
  for (const column of table.columns) {
    if (!column.derived && !rawNames.has(column.name)) names[INPUT_OF[column.type]]!.push(column.name);
  }
  const inputs = ([NUMERIC_INPUT, PRECISE_INPUT, DATETIME_INPUT, TEXT_INPUT] as const)
    .map((name) => ({ name, elementType: ELEMENT_TYPES[name], columns: names[name]! }))
    .filter((input) => input.columns.length > 0);
  const graph = new OnnxGraphBuilder();
  for (const { name, elementType, columns } of inputs)
    graph.input(name, elementType, ['rows', columns.length]);

  const numberBlocks: GraphStart['numberBlocks'] = [];
  const places = new Map<string, { input: string; position: number }>();
  const place = (input: string, columns: readonly string[]) => {
    for (const [position, name] of columns.entries()) places.set(name, { input, position });
  };
  for (const { name, columns } of inputs) {
    const holds = name === PRECISE_INPUT ? toSingle(graph, name) : name;
    place(holds, columns);
    if (name === NUMERIC_INPUT || name === PRECISE_INPUT)
      numberBlocks.push({ name: holds, width: columns.length });
  }
  const derived = writeDerived(graph, inputs, table, features);
  for (const { name, value, columns } of derived) {
    place(value, columns);
    if (name === 'numbers') numberBlocks.push({ name: value, width: columns.length });
  }
  return { graph, inputs, places: table.columns.map(({ name }) => places.get(name)!), numberBlocks };
}

const toSingle = (graph: OnnxGraphBuilder, name: string): string =>
  graph.node('Cast', [name], graph.freshName(`${name}_single`), { to: { int: 1 } });

/** Writes the derived columns of the table: its numbers as one value, each of its texts as one. */
function writeDerived(
  graph: OnnxGraphBuilder,
  inputs: readonly GraphInput[],
  table: Table,
  features: readonly Feature[],
): { name: 'numbers' | 'text'; value: string; columns: string[] }[] {
  const writer = createFeatureWriter(graph, inputs);
  const blocks: { name: 'numbers' | 'text'; value: string; columns: string[] }[] = [];
  const numbers: { name: string; value: string }[] = [];
  for (const { name, type, derived } of table.columns) {
    if (!derived) continue;
    const feature = features.find((candidate) => candidate.name === name);
    if (!feature) throw new Error(`The column ${name} is derived, and its expression was not given`);
    const value = writer.write(feature, FEATURE_PREFIX + name);
    graph.output(value, type === 'category' ? 'string' : 'float32', ['rows', 1]);
    if (type === 'category') blocks.push({ name: 'text', value, columns: [name] });
    else numbers.push({ name, value });
  }
  if (numbers.length === 0) return blocks;
  const values = numbers.map(({ value }) => value);
  const value =
    values.length === 1
      ? values[0]!
      : graph.node('Concat', values, graph.freshName('derived'), { axis: { int: 1 } });
  return [...blocks, { name: 'numbers', value, columns: numbers.map(({ name }) => name) }];
}

/** The given columns of numbers as one value, in their order. */
export function writeNumberMatrix(start: GraphStart, columns: readonly number[]): string {
  const { graph, numberBlocks, places } = start;
  const offsets = new Map<string, number>();
  let width = 0;
  for (const block of numberBlocks) {
    offsets.set(block.name, width);
    width += block.width;
  }
  const matrix =
    numberBlocks.length === 1
      ? numberBlocks[0]!.name
      : graph.node(
          'Concat',
          numberBlocks.map(({ name }) => name),
          graph.freshName('numbers'),
          { axis: { int: 1 } },
        );
  const positions = columns.map((column) => {
    const { input, position } = places[column]!;
    return offsets.get(input)! + position;
  });
  if (positions.length === width && positions.every((position, index) => position === index)) return matrix;
  const order = graph.initializer(graph.freshName('order'), 'int64', [positions.length], positions);
  return graph.node('Gather', [matrix, order], graph.freshName('chosen_numbers'), { axis: { int: 1 } });
}

/**
 * What a model trained on this table takes and gives.
 *
 * @param nullable whether a value of a raw column may be missing
 */
export function describeTable(
  table: Table,
  inputs: GraphInput[],
  nullable: (name: string) => boolean,
): Signature {
  const categoriesOf = new Map(
    table.columns.map((column) => [column.name, column.type === 'category' ? column.categories : undefined]),
  );
  const columns = rawColumnsOf(table).map((column) => {
    const { name, type } = column;
    const categories = categoriesOf.get(name);
    return {
      name,
      type:
        type === 'numeric'
          ? column.source
          : type === 'datetime'
            ? ('datetime' as const)
            : ('string' as const),
      nullable: nullable(name),
      ...(categories ? { categories } : {}),
    };
  });
  return {
    columns,
    inputs,
    output:
      table.task === 'regression'
        ? { task: 'regression', target: table.targetName, value: VALUE }
        : {
            task: table.task,
            target: table.targetName,
            classes: table.classes as ClassValue[],
            probabilities: PROBABILITIES,
          },
    missingText: MISSING_TEXT,
  };
}

/** Turns scores `[rows, outputs]` into the model's output: probabilities, or the value itself. */
export function writeAnswer(graph: OnnxGraphBuilder, table: Table, scores: string, outputs: number): void {
  const answer = table.task === 'regression' ? VALUE : PROBABILITIES;
  if (table.task === 'regression') graph.node('Identity', [scores], answer);
  else if (outputs === 1) graph.node('Sigmoid', [scores], answer);
  else graph.node('Softmax', [scores], answer, { axis: { int: 1 } });
  graph.output(answer, 'float32', ['rows', outputs]);
}

/** The raw columns that a row has for the model: what it learned from, and what derived columns are made of. */
export function rawColumnsOf(table: Table): (TableColumn | RawColumn)[] {
  const raw = new Map((table.raw ?? []).map((column) => [column.name, column]));
  const learned = table.columns
    .filter(({ derived }) => !derived)
    .map((column) => raw.get(column.name) ?? column);
  return [...learned, ...[...raw.values()].filter((column) => !learned.includes(column))];
}

/** The tensors that a row coder would make of the table's rows `start` to `end`. */
export function encodeTable(table: Table, inputs: GraphInput[], start: number, end: number): CodedBatch {
  const rows = end - start;
  const columnOf = new Map(rawColumnsOf(table).map((column) => [column.name, column]));
  const tensors: CodedBatch['tensors'] = {};
  for (const { name, elementType, columns } of inputs) {
    const width = columns.length;
    const size = rows * width;
    const tensor =
      elementType === 'float32'
        ? new Float32Array(size)
        : elementType === 'float64'
          ? new Float64Array(size)
          : elementType === 'int64'
            ? new BigInt64Array(size)
            : Array.from({ length: size }, () => '');
    columns.forEach((columnName, position) => {
      const column = columnOf.get(columnName)!;
      for (let i = 0; i < rows; i++) {
        const at = i * width + position;
        if (column.type === 'numeric') tensor[at] = column.values[start + i]!;
        else if (column.type === 'datetime') {
          const time = column.values[start + i]!;
          tensor[at] = Number.isNaN(time) ? MISSING_DATETIME : BigInt(time);
        } else {
          const code = column.codes[start + i]!;
          const texts = column.type === 'text' ? column.texts : column.categories;
          tensor[at] = code < 0 ? MISSING_TEXT : (texts[code] ?? UNKNOWN_TEXT);
        }
      }
    });
    tensors[name] = tensor;
  }
  return { rows, tensors };
}
