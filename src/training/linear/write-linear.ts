import type { Table } from '../../datasets/index.ts';
import { createCalendarWriter } from '../../features/index.ts';
import { addCategoryCodes, MISSING_TEXT, type OnnxGraphBuilder } from '../../models/index.ts';
import { DATETIME_INPUT, type GraphStart, writeAnswer, writeNumberMatrix } from '../export/graph-inputs.ts';
import type { LinearModel } from './fit-linear.ts';

/**
 * Writes a linear model with all that stands before it: imputation, flags, scaling, and one-hot coding, whose product
 * with the coefficients is one row of a table of them.
 */
export function writeLinear(model: LinearModel, table: Table, start: GraphStart): void {
  const { graph } = start;
  const { design, coefficients } = model;
  const outputs = coefficients.length;
  const matrixOf = (at: readonly number[]): Float32Array =>
    Float32Array.from(at.flatMap((index) => coefficients.map((own) => (index < 0 ? 0 : own[index]!))));
  const parts: string[] = [];

  if (design.numbers.length > 0) {
    const matrix = writeNumberMatrix(
      start,
      design.numbers.map((term) => term.column),
    );
    parts.push(...writeNumbers(model, graph, matrix, matrixOf));
  }
  const calendar = createCalendarWriter(graph, DATETIME_INPUT);
  design.levels.forEach((term, t) => {
    const column = table.columns[term.column]!;
    const { input, position } = start.places[term.column]!;
    const indexes = Array.from({ length: term.levels }, (_, level) => design.levelOffsets[t]! + level);
    const rows = graph.initializer(
      graph.freshName('level_coefficients'),
      'float32',
      [term.levels, outputs],
      matrixOf(indexes),
    );
    let codes: string;
    if (column.type === 'category') {
      codes = addCategoryCodes(graph, {
        text: input,
        column: position,
        categories: column.categories.slice(0, term.levels - 2),
        missingText: MISSING_TEXT,
      });
    } else {
      const missing = graph.initializer(graph.freshName('missing_level'), 'int64', [], [term.levels - 2]);
      const all = graph.node(
        'Where',
        [calendar.writeMissing(), missing, calendar.writePart(term.part!)],
        graph.freshName('date_levels'),
      );
      const index = graph.initializer(graph.freshName('column'), 'int64', [], [position]);
      codes = graph.node('Gather', [all, index], graph.freshName('codes'), { axis: { int: 1 } });
    }
    parts.push(graph.node('Gather', [rows, codes], graph.freshName('level_scores'), { axis: { int: 0 } }));
  });

  let sum = graph.initializer(
    graph.freshName('intercept'),
    'float32',
    [1, outputs],
    matrixOf([design.width - 1]),
  );
  for (const part of parts) sum = graph.node('Add', [sum, part], graph.freshName('sum'));
  writeAnswer(graph, table, sum, outputs);
}

function writeNumbers(
  { design, coefficients }: LinearModel,
  graph: OnnxGraphBuilder,
  matrix: string,
  matrixOf: (at: readonly number[]) => Float32Array,
): string[] {
  const { numbers, flagOffsets } = design;
  const count = numbers.length;
  const constants = (name: string, values: number[]) =>
    graph.initializer(graph.freshName(name), 'float32', [1, values.length], values);
  const size = graph.node('Abs', [matrix], graph.freshName('size'));
  // False for NaN and for infinite numbers, which count as missing.
  const present = graph.node(
    'LessOrEqual',
    [size, constants('largest', [3.4028234663852886e38])],
    graph.freshName('present'),
  );
  const filled = graph.node(
    'Where',
    [
      present,
      matrix,
      constants(
        'fill',
        numbers.map((term) => term.fill),
      ),
    ],
    graph.freshName('filled'),
  );
  const centered = graph.node(
    'Sub',
    [
      filled,
      constants(
        'center',
        numbers.map((term) => term.center),
      ),
    ],
    graph.freshName('centered'),
  );
  const scaled = graph.node(
    'Div',
    [
      centered,
      constants(
        'scale',
        numbers.map((term) => term.scale),
      ),
    ],
    graph.freshName('scaled'),
  );
  const weights = graph.initializer(
    graph.freshName('coefficients'),
    'float32',
    [count, coefficients.length],
    matrixOf(numbers.map((_, t) => t)),
  );
  const parts = [graph.node('MatMul', [scaled, weights], graph.freshName('number_scores'))];
  if (flagOffsets.some((offset) => offset >= 0)) {
    const missing = graph.node('Not', [present], graph.freshName('missing'));
    const flags = graph.node('Cast', [missing], graph.freshName('flags'), { to: { int: 1 } });
    const flagWeights = graph.initializer(
      graph.freshName('flag_coefficients'),
      'float32',
      [count, coefficients.length],
      matrixOf(flagOffsets),
    );
    parts.push(graph.node('MatMul', [flags, flagWeights], graph.freshName('flag_scores')));
  }
  return parts;
}
