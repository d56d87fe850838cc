import { parseMoment, type Signature } from '../../models/index.ts';
import { ApiError } from '../../platform/index.ts';
import type { InputRow } from './join-answers.ts';

export interface PredictionRequest {
  rows: InputRow[];
  /** Whether the answer is a list. */
  isList: boolean;
  /** Event time in ms, when the caller told it. */
  timeMs: number | undefined;
}

/** Reads the bodies that `/predict` takes for one model, without looking into the rows: the coder does that. */
export function createRequestReader(signature: Signature, maxRows: number) {
  const columns = new Set(signature.columns.map(({ name }) => name));
  const names = signature.columns.map(({ name }) => name);

  function readRow(row: unknown, place: string): InputRow {
    if (typeof row === 'object' && row !== null) return row as InputRow;
    throw wrongForm(`${place} is ${shown(row)}, but must be an object of columns or a list of values`);
  }

  /**
   * @throws ApiError UNPROCESSABLE_ENTITY when the body has none of the forms, PAYLOAD_TOO_LARGE when it has more rows
   * than `maxRows`.
   */
  return function readPredictionRequest(body: unknown): PredictionRequest {
    if (typeof body !== 'object' || body === null || Array.isArray(body)) {
      throw wrongForm(`The body is ${shown(body)}, but must be ${forms(names)}`);
    }
    const fields = body as Record<string, unknown>;
    const { features, instances, timestamp } = fields;
    let timeMs: number | undefined;
    if (timestamp !== undefined && !columns.has('timestamp')) timeMs = readTimestamp(timestamp);

    if (features !== undefined && (!columns.has('features') || typeof features === 'object')) {
      if (instances !== undefined && !columns.has('instances')) {
        throw wrongForm("The body has both 'features' (one row) and 'instances' (many); send one of them");
      }
      const row = readRow(features, "'features'");
      if (Array.isArray(row) && typeof row[0] === 'object' && row[0] !== null) {
        throw wrongForm("'features' is a list of rows, but takes one row; send many rows as 'instances'");
      }
      return { rows: [row], isList: false, timeMs };
    }
    if (instances !== undefined && (!columns.has('instances') || Array.isArray(instances))) {
      if (!Array.isArray(instances))
        throw wrongForm(`'instances' is ${shown(instances)}, but must be a list of rows`);
      if (instances.length === 0) throw wrongForm("'instances' is empty; send at least one row");
      if (instances.length > maxRows) {
        throw new ApiError(
          'PAYLOAD_TOO_LARGE',
          `'instances' has ${instances.length} rows, and one request may have ${maxRows}; send several requests`,
        );
      }
      const rows = instances.map((row, i) => readRow(row, `instances[${i}]`));
      return { rows, isList: true, timeMs };
    }
    for (const name of columns) {
      if (Object.hasOwn(fields, name)) return { rows: [fields], isList: false, timeMs };
    }
    throw wrongForm(
      `The body has neither 'features' nor 'instances' nor the model's columns; send ${forms(names)}`,
    );
  };
}

export function wrongForm(message: string): ApiError {
  return new ApiError('UNPROCESSABLE_ENTITY', message);
}

function forms(names: string[]): string {
  const shownNames = names.slice(0, 3).map((name) => `${JSON.stringify(name)}: …`);
  const row = `{${shownNames.join(', ')}${names.length > 3 ? ', …' : ''}}`;
  return `{"features": ${row}} or {"instances": [${row}, …]}`;
}

/**
 * Event time in whole ms: ISO 8601, UTC where it names no offset, or milliseconds since the epoch.
 *
 * @throws ApiError UNPROCESSABLE_ENTITY that names what came.
 */
export function readTimestamp(timestamp: unknown, place = "'timestamp'"): number {
  let time = Number.NaN;
  if (typeof timestamp === 'number') time = Math.floor(timestamp);
  else if (typeof timestamp === 'string' && /^\d{4}-\d\d-\d\d/.test(timestamp) && isDay(timestamp)) {
    const moment = parseMoment(timestamp);
    time = Number.isNaN(moment) ? Date.parse(timestamp) : moment;
  }
  if (time >= EARLIEST_MS && time <= LATEST_MS) return time;
  throw wrongForm(
    `${place} is ${shown(timestamp)}, but must be ISO 8601 text such as "2026-01-31T12:00:00Z", or milliseconds since 1970, and of the years 0000 to 9999`,
  );
}

/** `Date.parse` takes the 30th of February for the 2nd of March. */
function isDay(text: string): boolean {
  const day = Number(text.slice(8, 10));
  return day <= 28 || new Date(Date.UTC(+text.slice(0, 4), +text.slice(5, 7) - 1, day)).getUTCDate() === day;
}

/** What ISO 8601 text with four digits of a year can say. Microseconds in place of milliseconds lie beyond. */
const EARLIEST_MS = Date.parse('0000-01-01T00:00:00Z');
const LATEST_MS = Date.parse('9999-12-31T23:59:59.999Z');

/** A value for a message, cut short; nested values are only named, because they may be deep. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
