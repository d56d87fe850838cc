import { formatNumber } from './format-values.ts';

export type Cell = string | number | boolean | null | undefined;

const GAP = '  ';
/** A word up to this long is not broken where a column is made narrower. */
const WORD = 24;
const TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/;

/**
 * Lines of a table: headings, then rows; a column whose cells are all numbers is aligned to the right.
 *
 * @param maxWidth columns of text are made narrower until the table fits, and their cells go over several lines
 */
export function formatTable(
  headings: string[],
  rows: Cell[][],
  {
    emphasise = (text) => text,
    maxWidth,
  }: { emphasise?: (text: string) => string; maxWidth?: number | undefined } = {},
): string[] {
  const texts = rows.map((row) => headings.map((_, column) => cellText(row[column])));
  const isNumeric = headings.map(
    (_, column) =>
      rows.length > 0 && rows.every((row) => typeof row[column] === 'number' || row[column] == null),
  );
  const columns = headings.map((heading, column) => {
    const cells = texts.map((row) => row[column] ?? '');
    const width = Math.max(heading.length, ...cells.map((text) => text.length));
    const least = isNumeric[column] ? width : Math.max(heading.length, ...cells.map(widestWord));
    return { width, least };
  });
  if (maxWidth !== undefined) fitInto(columns, maxWidth);
  const lay = (cells: string[]) =>
    cells
      .map((text, column) => {
        const width = columns[column]?.width ?? 0;
        return isNumeric[column] ? text.padStart(width) : text.padEnd(width);
      })
      .join(GAP)
      .trimEnd();
  const lines = texts.flatMap((row) => {
    const wrapped = row.map((text, column) => wrap(text, columns[column]?.width ?? 0));
    const height = Math.max(...wrapped.map(({ length }) => length));
    return Array.from({ length: height }, (_, line) => lay(wrapped.map((parts) => parts[line] ?? '')));
  });
  return [emphasise(lay(headings)), ...lines];
}

/** Takes from the widest column that has something to give, until all fit or none has. */
function fitInto(columns: { width: number; least: number }[], maxWidth: number): void {
  const total = () => columns.reduce((sum, { width }) => sum + width + GAP.length, -GAP.length);
  while (total() > maxWidth) {
    let widest: { width: number; least: number } | undefined;
    for (const column of columns) {
      if (column.width > column.least && column.width > (widest?.width ?? 0)) widest = column;
    }
    if (widest === undefined) return;
    widest.width -= 1;
  }
}

function widestWord(text: string): number {
  if (TIME.test(text)) return text.length;
  return Math.max(...text.split(' ').map((word) => Math.min(word.length, WORD)));
}

/** The text in lines of a width, broken between words where it can be. */
function wrap(text: string, width: number): string[] {
  if (text.length <= width) return [text];
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${line} ${word}`;
      continue;
    }
    for (let at = 0; at < Math.max(1, word.length); at += width) lines.push(word.slice(at, at + width));
  }
  return lines;
}

function cellText(cell: Cell): string {
  if (cell == null) return '-';
  if (typeof cell === 'number') return formatNumber(cell);
  return String(cell);
}
