import { ApiError } from '../../platform/index.ts';
import type { DuckdbSession } from '../duckdb/duckdb-session.ts';
import { quoteText } from '../duckdb/quote-sql.ts';
import { unknownColumn } from '../unknown-column.ts';

/** An expression over the columns of one row that was found harmless. */
export interface RowExpression {
  sql: string;
  /** The columns it uses, as the table names them. */
  columns: string[];
}

const MAX_LENGTH = 2000;

/** What an expression may call: functions of one row's values that touch nothing outside and make no large texts. */
const FUNCTIONS = new Set(
  `+ - * / // % ** ^ || & | ~ << >> ~~ !~~ ~~* !~~* ~~~ ^@
   abs add subtract multiply divide mod fmod round floor ceil ceiling trunc sign sqrt cbrt exp ln log log2 log10 pow power
   sin cos tan asin acos atan atan2 sinh cosh tanh pi radians degrees greatest least even gamma lgamma
   isnan isinf isfinite coalesce ifnull nullif xor
   lower upper lcase ucase length len strlen char_length trim ltrim rtrim substr substring left right reverse replace
   contains starts_with prefix suffix ends_with concat strpos instr position like_escape ilike_escape not_like_escape
   not_ilike_escape regexp_matches regexp_full_match regexp_extract split_part ascii unicode levenshtein jaccard
   year month day hour minute second millisecond microsecond quarter week weekday isodow dayofweek dayofmonth dayofyear
   yearweek isoyear decade century date_part datepart date_trunc datetrunc date_diff datediff date_sub datesub date_add
   epoch epoch_ms epoch_us last_day dayname monthname make_date make_timestamp strftime timezone age
   to_years to_months to_weeks to_days to_hours to_minutes to_seconds to_milliseconds to_microseconds`.split(
    /\s+/,
  ),
);

/** An end behind which an operand is missing; the parser would name the bracket put around the text. */
const OPEN_END = /[<>=+*/%|&,(]\s*$|(?<!-)-\s*$|\b(and|or|not|in|is|like|between|case|when|then|else)\s*$/i;

const CLASSES = new Set([
  'COLUMN_REF',
  'CONSTANT',
  'FUNCTION',
  'OPERATOR',
  'COMPARISON',
  'CONJUNCTION',
  'CASE',
  'CAST',
  'BETWEEN',
]);
const OPERATORS = new Set([
  'OPERATOR_NOT',
  'OPERATOR_IS_NULL',
  'OPERATOR_IS_NOT_NULL',
  'OPERATOR_COALESCE',
  'OPERATOR_NULLIF',
  'COMPARE_IN',
  'COMPARE_NOT_IN',
]);
const CAST_TYPES = new Set([
  'BOOLEAN',
  'TINYINT',
  'SMALLINT',
  'INTEGER',
  'BIGINT',
  'FLOAT',
  'DOUBLE',
  'VARCHAR',
  'DATE',
  'TIMESTAMP',
  'TIMESTAMP WITH TIME ZONE',
]);

/** What a refused kind of expression is called in messages. */
const REFUSED: Record<string, string> = {
  SUBQUERY: 'a query inside the expression',
  WINDOW: 'a window function, which looks at other rows',
  STAR: 'a star',
  LAMBDA: 'a lambda',
  PARAMETER: 'a parameter',
  COLLATE: 'a collation',
  POSITIONAL_REFERENCE: 'a column by its number',
  DEFAULT: 'DEFAULT',
};

/**
 * Parses one SQL expression over the columns of a row, such as `delay > 15`, and refuses all that is more than that: queries,
 * aggregates, functions that read files or settings, several statements. Throws `INVALID_PARAMETER_VALUE`.
 */
export async function parseExpression(
  session: DuckdbSession,
  text: string,
  columnNames: readonly string[],
): Promise<RowExpression> {
  const fail = (problem: string): never => {
    throw new ApiError('INVALID_PARAMETER_VALUE', `The expression ${JSON.stringify(text)} ${problem}`);
  };
  if (text.length > MAX_LENGTH) fail(`has ${text.length} characters; at most ${MAX_LENGTH} are allowed`);
  if (text.includes('\0')) fail('holds a NUL character');
  const sql = `(${text}\n)`; // the line break ends a comment
  const row = await session.row(`SELECT json_serialize_sql(${quoteText(`SELECT ${sql}`)}) AS parsed`);
  const parsed = JSON.parse(String(row['parsed'])) as Parsed;
  if (parsed.error) {
    if (OPEN_END.test(text)) {
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        `The expression ${JSON.stringify(text)} is incomplete: something has to follow its end`,
        { incomplete: text },
      );
    }
    return fail(`cannot be read: ${parsed.error_message ?? 'it is not SQL'}`);
  }
  const node = parsed.statements?.length === 1 ? parsed.statements[0]?.node : undefined;
  const expression = node?.select_list?.length === 1 ? node.select_list[0] : undefined;
  if (!node || !expression || !isBareSelect(node)) {
    return fail('is more than one expression over the columns of a row');
  }
  const columns = new Set<string>();
  checkNode(expression, fail, (names) => {
    if (names.length > 1) {
      fail(
        `uses ${names.join('.')}, a name with a dot in it; write it in double quotes: "${names.join('.')}"`,
      );
    }
    const wanted = names[0]!;
    const found = columnNames.find((name) => name.toLowerCase() === wanted.toLowerCase());
    if (found === undefined) throw unknownColumn(wanted, columnNames, `in ${JSON.stringify(text)}`);
    columns.add(found);
  });
  if (columns.size === 0) fail('uses no column');
  return { sql, columns: [...columns] };
}

interface Parsed {
  error: boolean;
  error_message?: string;
  statements?: { node: SelectNode }[];
}

type SelectNode = Record<string, unknown> & {
  type: string;
  select_list?: Record<string, unknown>[];
  from_table?: { type?: string };
};

function isBareSelect(node: SelectNode): boolean {
  const empty = (value: unknown) =>
    value === null || value === undefined || value === false || (Array.isArray(value) && value.length === 0);
  return (
    node.type === 'SELECT_NODE' &&
    node.from_table?.type === 'EMPTY' &&
    empty(node['modifiers']) &&
    empty((node['cte_map'] as { map?: unknown } | undefined)?.map) &&
    empty(node['where_clause']) &&
    empty(node['group_expressions']) &&
    empty(node['group_sets']) &&
    empty(node['having']) &&
    empty(node['qualify']) &&
    empty(node['sample'])
  );
}

/** Walks the tree; every object with a class is looked at, wherever DuckDB keeps it. */
function checkNode(
  value: unknown,
  fail: (problem: string) => never,
  column: (names: string[]) => void,
): void {
  if (Array.isArray(value)) {
    for (const item of value) checkNode(item, fail, column);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  const node = value as Record<string, unknown>;
  const kind = node['class'];
  if (typeof kind === 'string') {
    if (!CLASSES.has(kind))
      fail(`uses ${REFUSED[kind] ?? `${kind.toLowerCase()} expressions`}, which is not allowed here`);
    if (kind === 'COLUMN_REF') column(node['column_names'] as string[]);
    if (kind === 'COLUMN_REF' || kind === 'CONSTANT') return;
    if (kind === 'FUNCTION') checkFunction(node, fail);
    if (kind === 'OPERATOR' && !OPERATORS.has(String(node['type']))) {
      fail(`uses ${String(node['type']).toLowerCase().replaceAll('_', ' ')}, which is not allowed here`);
    }
    if (kind === 'CAST') {
      const type = String((node['cast_type'] as { id?: string } | undefined)?.id);
      if (!CAST_TYPES.has(type)) fail(`casts to ${type}; ${[...CAST_TYPES].join(', ')} are allowed`);
    }
  }
  for (const child of Object.values(node)) checkNode(child, fail, column);
}

function checkFunction(node: Record<string, unknown>, fail: (problem: string) => never): void {
  const name = String(node['function_name']).toLowerCase();
  const builtIn = ['', 'main', undefined].includes(node['schema'] as string | undefined) && !node['catalog'];
  if (!FUNCTIONS.has(name) || !builtIn) {
    fail(
      `calls ${name}, which is not allowed here; arithmetic, comparisons, text and date functions of one row are`,
    );
  }
  if (node['filter'] || node['distinct']) fail('uses an aggregate, which looks at other rows');
}
