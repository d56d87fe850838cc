import type { ClassValue, Table } from '../datasets/index.ts';
import {
  type GraphInput,
  MISSING_DATETIME,
  MISSING_TEXT,
  OnnxGraphBuilder,
  type Signature,
} from '../models/index.ts';

/** Names of the inputs that our own models have, each for one kind of column. */
export const NUMERIC_INPUT = 'numeric';
export const DATETIME_INPUT = 'datetime';
export const TEXT_INPUT = 'text';

/** Names of the outputs. */
export const PROBABILITIES = 'probabilities';
export const VALUE = 'value';

/** Stands for a text that is not among a column's categories; no text that people write starts with U+0001. */
const UNKNOWN_TEXT = '\u0001unknown';

export interface GraphStart {
  graph: OnnxGraphBuilder;
  inputs: GraphInput[];
  /** For each column of the table: the input that holds it, and its position there. */
  places: { input: string; position: number }[];
}

/** Starts a graph that takes a table's raw columns: numbers as float32, dates as int64 ms, categories as text. */
export function startGraph(table: Table): GraphStart {
  const names: Record<string, string[]> = { [NUMERIC_INPUT]: [], [DATETIME_INPUT]: [], [TEXT_INPUT]: [] };
  const inputOf = { numeric: NUMERIC_INPUT, datetime: DATETIME_INPUT, category: TEXT_INPUT };
  const places = table.columns.map((column) => {
    const input = inputOf[column.type];
    return { input, position: names[input]!.push(column.name) - 1 };
  });
  const elementTypes = {
    [NUMERIC_INPUT]: 'float32',
    [DATETIME_INPUT]: 'int64',
    [TEXT_INPUT]: 'string',
  } as const;
  const inputs = ([NUMERIC_INPUT, DATETIME_INPUT, TEXT_INPUT] as const)
    .map((name) => ({ name, elementType: elementTypes[name], columns: names[name]! }))
    .filter((input) => input.columns.length > 0);
  const graph = new OnnxGraphBuilder();
  for (const { name, elementType, columns } of inputs)
    graph.input(name, elementType, ['rows', columns.length]);
  return { graph, inputs, places };
}

/**
 * What a model trained on this table takes and gives.
 *
 * @param nullable for each column, whether a value may be missing
 */
export function describeTable(table: Table, inputs: GraphInput[], nullable: boolean[]): Signature {
  const columns = table.columns.map((column, index) => ({
    name: column.name,
    type: column.type === 'numeric' ? column.source : column.type === 'datetime' ? 'datetime' : 'string',
    nullable: nullable[index]!,
    ...(column.type === 'category' ? { categories: column.categories } : {}),
  })) as Signature['columns'];
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

/** The tensors that a row coder would make of the table's rows `start` to `end`. */
export function encodeTable(table: Table, inputs: GraphInput[], start: number, end: number) {
  const rows = end - start;
  const columnOf = new Map(table.columns.map((column) => [column.name, column]));
  const tensors: Record<string, Float32Array | BigInt64Array | string[]> = {};
  for (const { name, columns } of inputs) {
    const width = columns.length;
    const size = rows * width;
    const tensor =
      name === NUMERIC_INPUT
        ? new Float32Array(size)
        : name === DATETIME_INPUT
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
          tensor[at] = code < 0 ? MISSING_TEXT : (column.categories[code] ?? UNKNOWN_TEXT);
        }
      }
    });
    tensors[name] = tensor;
  }
  return { rows, tensors };
}
