import type { Signature } from '../../models/index.ts';
import type { InputRow } from '../predict/join-answers.ts';

/** Writes a row as one line of JSON, an object by column: a list's values get the signature's names. */
export function createRowText(signature: Signature): (row: InputRow) => string {
  const names = signature.columns.map(({ name }) => name);
  const keys = names.map((name, i) => `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`);

  /** Only what the model knows, which the coder has seen to be plain values. */
  function knownColumns(row: Record<string, unknown>): string {
    return `${names.map((name, i) => `${keys[i]}${JSON.stringify(row[name])}`).join('')}}`;
  }

  return (row) => {
    if (!Array.isArray(row)) {
      try {
        return JSON.stringify(row);
      } catch {
        return knownColumns(row); // Another column is nested deeper than the serialiser's stack.
      }
    }
    let text = '';
    for (let i = 0; i < names.length; i++) text += (keys[i] as string) + JSON.stringify(row[i]);
    return `${text}}`;
  };
}

const AFTER_FEATURES = /^\s*(?:,\s*"timestamp"\s*:\s*(?:"[^"\\{}]*"|-?[0-9.eE+-]+)\s*)?\}\s*$/;
const BEFORE_FEATURES = /^\s*\{\s*"features"\s*:\s*\{/;

/**
 * The row of a `{"features": {…}}` body as its caller wrote it, when that is plain to see: on one line, nothing nested,
 * no name twice. `text` is valid JSON. Parsing found `row` in it. Copying costs a tenth of writing the row anew.
 */
export function rowTextOf(text: string | undefined, row: InputRow): string | undefined {
  if (text === undefined || Array.isArray(row) || text.includes('\n') || text.includes('" '))
    return undefined;
  let start = 12;
  if (!text.startsWith('{"features":{')) {
    const before = BEFORE_FEATURES.exec(text);
    if (before === null) return undefined;
    start = before[0].length - 1;
  }
  // With two opening braces in a valid text, the first closing one ends the row, unless it is inside of a string;
  // then what follows cannot be the end of the body.
  const end = text.indexOf('}', start) + 1;
  if (end !== text.length - 1 && !AFTER_FEATURES.test(text.slice(end))) return undefined;
  if (text.indexOf('{', start + 1) !== -1) return undefined;
  return countColons(text, start, end) === Object.keys(row).length ? text.slice(start, end) : undefined;
}

/** How many names a flat object has, or more when its texts hold a quote before a colon. */
function countColons(text: string, start: number, end: number): number {
  let colons = 0;
  for (let at = text.indexOf('":', start); at !== -1 && at < end; at = text.indexOf('":', at + 2))
    colons += 1;
  return colons;
}
