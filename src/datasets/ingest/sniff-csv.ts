import { ApiError } from '../../platform/index.ts';

export interface CsvForm {
  delimiter: string;
  columnNames: string[];
}

const DELIMITERS = [',', ';', '\t', '|'];
const RECORDS_LOOKED_AT = 100;

/**
 * Finds the delimiter and the column names from the beginning of a CSV file.
 * Throws `INVALID_PARAMETER_VALUE` when there is no usable header: empty, twice the same, or a row of numbers.
 */
export function sniffCsv(head: string, sourceName: string): CsvForm {
  const fail = (problem: string): never => {
    throw new ApiError('INVALID_PARAMETER_VALUE', `${sourceName}: ${problem}`);
  };
  if (head.trim() === '') fail('the file is empty; its first line has to name the columns');
  let best: { delimiter: string; header: string[]; share: number } | undefined;
  for (const delimiter of DELIMITERS) {
    const { records, broken } = splitRecords(head, delimiter, RECORDS_LOOKED_AT);
    const [header, ...rows] = records;
    if (!header) continue;
    const fitting = rows.filter((row) => row.length === header.length).length;
    const fit = header.length === 1 ? 0 : (fitting + 1) / (rows.length + 1);
    const share = broken ? fit / 100 : fit;
    const better =
      !best ||
      share > best.share ||
      (share === best.share && share > 0 && header.length > best.header.length);
    if (better) best = { delimiter, header, share };
  }
  const header = best?.header ?? [];
  checkHeader(header, fail);
  return { delimiter: best?.delimiter ?? ',', columnNames: header };
}

function checkHeader(header: string[], fail: (problem: string) => never): void {
  const numbers = header.filter((name) => name.trim() !== '' && Number.isFinite(Number(name)));
  const counted = header.every((name, index) => name === String(index)); // as pandas names nameless columns
  if (numbers.length === header.length && !counted) {
    fail(`line 1: ${header.slice(0, 5).join(', ')} are values; the first line has to name the columns`);
  }
  checkColumnNames(header, (problem) => fail(`line 1: ${problem}`));
}

/** Inferring types takes seconds for a thousand columns, and more than in proportion beyond. */
const MOST_COLUMNS = 2000;

/** Refuses names that are empty, or the same but for upper and lower case, which DuckDB cannot tell apart. */
export function checkColumnNames(names: readonly string[], fail: (problem: string) => never): void {
  if (names.length > MOST_COLUMNS) fail(`has ${names.length} columns, and at most ${MOST_COLUMNS} are taken`);
  const seen = new Map<string, { name: string; position: number }>();
  for (const [index, name] of names.entries()) {
    if (name.trim() === '') fail(`column ${index + 1} has no name`);
    const before = seen.get(name.toLowerCase());
    if (before) {
      const same =
        before.name === name
          ? `the name ${JSON.stringify(name)} stands twice`
          : `the names ${JSON.stringify(before.name)} and ${JSON.stringify(name)} differ only in case`;
      fail(`${same}, in columns ${before.position} and ${index + 1}; rename one`);
    }
    seen.set(name.toLowerCase(), { name, position: index + 1 });
  }
}

/** Splits the beginning of a CSV text into records; the last one may be cut off and is left out unless it is the only one. */
function splitRecords(
  text: string,
  delimiter: string,
  limit: number,
): { records: string[][] /** A closing quote stands where no value ends. */; broken: boolean } {
  const records: string[][] = [];
  let fields: string[] = [];
  let field = '';
  let quoted = false;
  let broken = false;
  let index = text.startsWith('\ufeff') ? 1 : 0;
  const endRecord = () => {
    fields.push(field);
    if (fields.length > 1 || field !== '') records.push(fields);
    fields = [];
    field = '';
  };
  for (; index < text.length && records.length < limit; index++) {
    const letter = text[index]!;
    if (quoted) {
      if (letter !== '"') field += letter;
      else if (text[index + 1] === '"') {
        field += '"';
        index++;
      } else {
        quoted = false;
        const next = text[index + 1];
        if (next !== undefined && next !== delimiter && !' \r\n'.includes(next)) broken = true;
      }
    } else if (letter === '"' && field.trim() === '') {
      quoted = true;
      field = '';
    } else if (letter === delimiter) {
      fields.push(field);
      field = '';
    } else if (letter === '\n' || letter === '\r') {
      if (letter === '\r' && text[index + 1] === '\n') index++;
      endRecord();
    } else field += letter;
  }
  if (records.length === 0) endRecord();
  return { records, broken };
}
