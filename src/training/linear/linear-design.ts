import type { Table, TableColumn } from '../../datasets/index.ts';
import { calendarPart, MS_PER_DAY } from '../../features/index.ts';
import type { LinearParameters } from '../parameters.ts';

/** Levels of a category that get a coefficient each; rarer ones share one. */
export const MAX_LINEAR_LEVELS = 500;

/** A number as the model sees it: `(x - center) / scale`, `fill` standing for a missing x. All are float32 numbers. */
export interface NumberTerm {
  column: number;
  center: number;
  scale: number;
  fill: number;
  /** Whether a missing value has a coefficient of its own. */
  flagged: boolean;
}

/** A column as one coefficient for each level, then one for missing, then one for levels that are not known. */
export interface LevelTerm {
  column: number;
  part?: DatePart;
  /** With the two for missing and unknown. */
  levels: number;
}

/** The parts of a date that are levels here, because a line over the hours of a day says nothing. */
export type DatePart = 'hour' | 'weekday' | 'month';
export const datePartLevels: Record<DatePart, number> = { hour: 24, weekday: 7, month: 13 };

/** How raw columns become the columns that have coefficients: numbers, then flags, then levels, then the intercept. */
export interface LinearDesign {
  numbers: NumberTerm[];
  levels: LevelTerm[];
  /** Coefficients of one output, the intercept last. */
  width: number;
  flagOffsets: number[];
  levelOffsets: number[];
}

const LARGEST_FLOAT = 3.4028234663852886e38;

/** Whether a number counts as present; infinite ones would make every sum infinite. */
const isPresent = (value: number): boolean => Math.abs(value) <= LARGEST_FLOAT;

/** Decides centers, scales and levels from the training rows. */
export function planDesign(table: Table, impute: LinearParameters['impute']): LinearDesign {
  const numbers: NumberTerm[] = [];
  const levels: LevelTerm[] = [];
  table.columns.forEach((column, index) => {
    if (column.type === 'numeric') numbers.push(planNumber(column.values, index, impute));
    else if (column.type === 'category') {
      levels.push({ column: index, levels: Math.min(column.categories.length, MAX_LINEAR_LEVELS) + 2 });
    } else {
      for (const part of ['hour', 'weekday', 'month'] as const) {
        levels.push({ column: index, part, levels: datePartLevels[part] + 2 });
      }
    }
  });
  let width = numbers.length;
  const flagOffsets = numbers.map((term) => (term.flagged ? width++ : -1));
  const levelOffsets = levels.map((term) => {
    width += term.levels;
    return width - term.levels;
  });
  return { numbers, levels, width: width + 1, flagOffsets, levelOffsets };
}

function planNumber(values: Float32Array, column: number, impute: LinearParameters['impute']): NumberTerm {
  const present = values.filter(isPresent);
  if (present.length === 0) return { column, center: 0, scale: 1, fill: 0, flagged: false };
  let sum = 0;
  for (const value of present) sum += value;
  const center = Math.fround(sum / present.length);
  const fill = impute === 'median' ? median(present) : center;
  let squares = 0;
  for (const value of present) squares += (value - center) ** 2;
  const deviation = Math.fround(Math.sqrt(squares / present.length));
  const flagged = present.length < values.length;
  return { column, center, scale: deviation > 0 && isPresent(deviation) ? deviation : 1, fill, flagged };
}

function median(values: Float32Array): number {
  values.sort();
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle]! : Math.fround((values[middle - 1]! + values[middle]!) / 2);
}

/** A table in the design's terms, column by column. */
export interface DesignTable {
  rows: number;
  numbers: Float32Array[];
  /** 1 where the number is missing; undefined where the term has no flag. */
  flags: (Uint8Array | undefined)[];
  levels: Uint16Array[];
}

/** Codes a table with the columns of the training table. */
export function applyDesign(design: LinearDesign, table: Table): DesignTable {
  const flags: (Uint8Array | undefined)[] = [];
  const numbers = design.numbers.map((term) => {
    const { values } = table.columns[term.column] as Extract<TableColumn, { type: 'numeric' }>;
    const coded = new Float32Array(table.rows);
    const flag = term.flagged ? new Uint8Array(table.rows) : undefined;
    for (let i = 0; i < values.length; i++) {
      const present = isPresent(values[i]!);
      coded[i] = Math.fround((present ? values[i]! : term.fill) - term.center) / term.scale;
      if (flag && !present) flag[i] = 1;
    }
    flags.push(flag);
    return coded;
  });
  return { rows: table.rows, numbers, flags, levels: design.levels.map((term) => codeLevels(term, table)) };
}

function codeLevels(term: LevelTerm, table: Table): Uint16Array {
  const column = table.columns[term.column]!;
  const missing = term.levels - 2;
  const unknown = term.levels - 1;
  if (column.type === 'category') {
    return Uint16Array.from(column.codes, (code) => (code < 0 ? missing : code < missing ? code : unknown));
  }
  const times = (column as Extract<TableColumn, { type: 'datetime' }>).values;
  if (term.part === 'hour') {
    return Uint16Array.from(times, (time) =>
      Number.isNaN(time)
        ? missing
        : Math.floor((time - Math.floor(time / MS_PER_DAY) * MS_PER_DAY) / 3_600_000),
    );
  }
  const parts = calendarPart(term.part === 'weekday' ? 'weekday' : 'month', times);
  return Uint16Array.from(parts, (part) => (Number.isNaN(part) ? missing : part));
}

/** Adds each row's score, for coefficients in the design's order. */
export function addScores(
  design: LinearDesign,
  table: DesignTable,
  coefficients: Float64Array,
  scores: Float64Array,
): void {
  const { rows } = table;
  const intercept = coefficients[design.width - 1]!;
  for (let i = 0; i < rows; i++) scores[i]! += intercept;
  table.numbers.forEach((values, t) => {
    const coefficient = coefficients[t]!;
    for (let i = 0; i < rows; i++) scores[i]! += coefficient * values[i]!;
    const flag = table.flags[t];
    if (!flag) return;
    const flagCoefficient = coefficients[design.flagOffsets[t]!]!;
    for (let i = 0; i < rows; i++) scores[i]! += flagCoefficient * flag[i]!;
  });
  table.levels.forEach((codes, t) => {
    const offset = design.levelOffsets[t]!;
    for (let i = 0; i < rows; i++) scores[i]! += coefficients[offset + codes[i]!]!;
  });
}

/** Adds to the gradient what the rows' residuals say about each coefficient. */
export function addGradient(
  design: LinearDesign,
  table: DesignTable,
  residuals: Float64Array,
  gradient: Float64Array,
): void {
  const { rows } = table;
  let total = 0;
  for (let i = 0; i < rows; i++) total += residuals[i]!;
  gradient[design.width - 1]! += total;
  table.numbers.forEach((values, t) => {
    let sum = 0;
    for (let i = 0; i < rows; i++) sum += residuals[i]! * values[i]!;
    gradient[t]! += sum;
    const flag = table.flags[t];
    if (!flag) return;
    let flagSum = 0;
    for (let i = 0; i < rows; i++) flagSum += residuals[i]! * flag[i]!;
    gradient[design.flagOffsets[t]!]! += flagSum;
  });
  table.levels.forEach((codes, t) => {
    const offset = design.levelOffsets[t]!;
    for (let i = 0; i < rows; i++) gradient[offset + codes[i]!]! += residuals[i]!;
  });
}
