import { ApiError } from '../platform/index.ts';

export type FilterOperator =
  | '='
  | '!='
  | '>'
  | '>='
  | '<'
  | '<='
  | 'LIKE'
  | 'ILIKE'
  | 'IN'
  | 'NOT IN'
  | 'IS NULL'
  | 'IS NOT NULL';

export type FilterValue = string | number | (string | number)[] | undefined;

/** One comparison of a search filter, not yet checked against what the searched entity has. */
export interface Comparison {
  /** What stands before the first dot (`metrics`, `tags` …), or undefined for a bare name. */
  qualifier: string | undefined;
  key: string;
  operator: FilterOperator;
  /** undefined for IS [NOT] NULL. */
  value: FilterValue;
}

/** One `key [ASC|DESC]` of an order. */
export interface OrderTerm {
  qualifier: string | undefined;
  key: string;
  descending: boolean;
}

/** What a database takes in one statement: PostgreSQL plans 100 comparisons of metrics for seconds, SQLite binds 32,766 values. */
const MOST_COMPARISONS = 50;
const MOST_VALUES = 10_000;

type Token =
  | { kind: 'word'; text: string; at: number }
  | { kind: 'string'; text: string; at: number }
  | { kind: 'quoted'; text: string; at: number }
  | { kind: 'number'; text: string; at: number }
  | { kind: 'symbol'; text: string; at: number };

const TOKEN =
  /\s+|'((?:[^'\\]|\\.|'')*)'|"((?:[^"\\]|\\.)*)"|`([^`]*)`|([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))|([\w][\w\-/:]*)|(!=|>=|<=|=|>|<|\(|\)|,|\.)/gy;

/**
 * Reads a search filter in MLflow's language: comparisons joined by AND, strings in '…' or "…", keys plain, in
 * backticks or in "…".
 * @throws ApiError INVALID_PARAMETER_VALUE that says where the filter stops making sense.
 */
export function parseFilter(filter: string): Comparison[] {
  const reader = createReader(filter, 'filter');
  const comparisons: Comparison[] = [];
  let values = 0;
  if (reader.done()) return comparisons;
  for (;;) {
    const { qualifier, key } = readName(reader);
    const condition = readCondition(reader);
    comparisons.push({ qualifier, key, ...condition });
    values += Array.isArray(condition.value) ? condition.value.length : 1;
    if (comparisons.length > MOST_COMPARISONS || values > MOST_VALUES) {
      throw invalid(
        `Invalid filter '${shorten(filter)}': it has more than ${MOST_COMPARISONS} comparisons or ${MOST_VALUES} values; ask in parts`,
      );
    }
    if (reader.done()) return comparisons;
    if (!reader.takeWord('AND')) throw reader.error(`'AND' or the end`);
  }
}

/** Reads one term of `order_by`: `metrics.loss ASC`, `attributes.start_time DESC`, a bare attribute. */
export function parseOrderTerm(text: string): OrderTerm {
  const reader = createReader(text, 'order_by');
  const name = readName(reader);
  const descending = reader.takeWord('DESC');
  if (!descending) reader.takeWord('ASC');
  if (!reader.done()) throw reader.error(`'ASC', 'DESC' or the end`);
  return { ...name, descending };
}

type Reader = ReturnType<typeof createReader>;

function createReader(text: string, what: string) {
  const tokens = tokenize(text, what);
  let position = 0;
  return {
    done: () => position >= tokens.length,
    peek: (): Token | undefined => tokens[position],
    next: (): Token | undefined => tokens[position++],
    takeWord(word: string): boolean {
      const token = tokens[position];
      if (token?.kind !== 'word' || token.text.toUpperCase() !== word) return false;
      position++;
      return true;
    },
    takeSymbol(symbol: string): boolean {
      const token = tokens[position];
      if (token?.kind !== 'symbol' || token.text !== symbol) return false;
      position++;
      return true;
    },
    error(expected: string): ApiError {
      const token = tokens[position];
      const found = token ? `found '${shorten(token.text)}' at position ${token.at + 1}` : 'it ends';
      return invalid(`Invalid ${what} '${shorten(text)}': expected ${expected}, but ${found}`);
    },
  };
}

function tokenize(text: string, what: string): Token[] {
  const tokens: Token[] = [];
  const pattern = new RegExp(TOKEN);
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (!match) {
      throw invalid(
        `Invalid ${what} '${shorten(text)}': '${text.slice(at, at + 20)}' at position ${at + 1} is not understood`,
      );
    }
    const [, single, double, backtick, number, word, symbol] = match;
    if (single !== undefined)
      tokens.push({ kind: 'string', text: unescapeQuotes(single.replaceAll("''", "'")), at });
    else if (double !== undefined) tokens.push({ kind: 'string', text: unescapeQuotes(double), at });
    else if (backtick !== undefined) tokens.push({ kind: 'quoted', text: backtick, at });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number, at });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word, at });
    else if (symbol !== undefined) tokens.push({ kind: 'symbol', text: symbol, at });
  }
  return tokens;
}

const shorten = (text: string) => (text.length > 300 ? `${text.slice(0, 297)}...` : text);

const unescapeQuotes = (text: string) => text.replace(/\\(['"])/g, '$1');

/** A name such as `acc`, `metrics.acc`, `tags."mlflow.user"`; a plain key may hold dots itself: `tags.mlflow.user`. */
function readName(reader: Reader): { qualifier: string | undefined; key: string } {
  const first = reader.peek();
  if (first?.kind !== 'word' && first?.kind !== 'quoted' && first?.kind !== 'string') {
    throw reader.error('a name such as metrics.accuracy');
  }
  reader.next();
  if (first.kind !== 'word' || !reader.takeSymbol('.')) return { qualifier: undefined, key: first.text };
  const parts: string[] = [];
  do {
    const part = reader.next();
    if (!part || part.kind === 'symbol')
      throw invalid(`Invalid filter: a key is missing after '${first.text}.'`);
    parts.push(part.text);
  } while (reader.takeSymbol('.'));
  return { qualifier: first.text, key: parts.join('.') };
}

function readCondition(reader: Reader): { operator: FilterOperator; value: FilterValue } {
  if (reader.takeWord('IS')) {
    const negated = reader.takeWord('NOT');
    if (!reader.takeWord('NULL')) throw reader.error(`'NULL'`);
    return { operator: negated ? 'IS NOT NULL' : 'IS NULL', value: undefined };
  }
  const negated = reader.takeWord('NOT');
  if (reader.takeWord('IN')) {
    return { operator: negated ? 'NOT IN' : 'IN', value: readList(reader) };
  }
  if (negated) throw reader.error(`'IN'`);
  for (const word of ['LIKE', 'ILIKE'] as const) {
    if (reader.takeWord(word)) return { operator: word, value: readValue(reader) };
  }
  for (const symbol of ['=', '!=', '>=', '<=', '>', '<'] as const) {
    if (reader.takeSymbol(symbol)) return { operator: symbol, value: readValue(reader) };
  }
  throw reader.error('a comparison (=, !=, >, >=, <, <=, LIKE, ILIKE, IN, IS NULL)');
}

function readValue(reader: Reader): string | number {
  const token = reader.peek();
  if (token?.kind === 'string' || token?.kind === 'quoted') {
    reader.next();
    return token.text;
  }
  if (token?.kind === 'number') {
    reader.next();
    return Number(token.text);
  }
  throw reader.error("a number, or a text in quotes ('…')");
}

function readList(reader: Reader): (string | number)[] {
  if (!reader.takeSymbol('(')) throw reader.error(`'(' after IN`);
  const values = [readValue(reader)];
  while (reader.takeSymbol(',')) {
    if (reader.peek()?.text === ')') break;
    values.push(readValue(reader));
  }
  if (!reader.takeSymbol(')')) throw reader.error(`',' or ')'`);
  return values;
}

const invalid = (message: string) => new ApiError('INVALID_PARAMETER_VALUE', message);
