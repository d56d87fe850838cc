import type { Command } from 'commander';
import { controlPlane, type HttpClient } from './http/http-client.ts';
import type { Act } from './terminal/act.ts';
import { usageError } from './terminal/cli-error.ts';
import { csvCell } from './terminal/csv-cell.ts';
import { parseCount, withExamples, withUrl } from './terminal/options.ts';
import { type Cell, formatCount, formatTime, type Terminal } from './terminal/terminal.ts';

interface QueryAnswer {
  columns: { name: string; type: string }[];
  rows: unknown[][];
  truncated: boolean;
}

interface View {
  name: string;
  about: string;
  columns: { name: string; type: string; about?: string }[];
}

interface ModelLog {
  model: string;
  rows: number;
  labelled: number;
  labels: number;
  newest_event: number | null;
  dropped: { retention: number; forgotten: number };
  bad_lines: number;
  dropping_servers?: { replica: string; dropped: number }[];
  groups: { day: number; version: string; variant: string; rows: number; labelled: number }[];
}

interface QueryOptions {
  csv?: boolean;
  limit?: number;
  timeout?: number;
  url?: string;
}

interface ForgetOptions {
  key: string;
  model?: string;
  reason: string;
  url?: string;
}

/** Days that `log show` lists; `log query` has them all. */
const SHOWN_DAYS = 14;

/** The server answers no more rows at once. */
const MOST_ROWS = 100_000;

export function configureLog(command: Command, act: Act): void {
  const query = withUrl(
    command
      .command('query')
      .description(
        'ask in SQL: views predictions and labels, and one for each model with its columns and label; without SQL it shows them',
      ),
  )
    .argument('[sql]', 'one SELECT of DuckDB')
    .option('--csv', 'print CSV')
    .option('--limit <rows>', 'the most rows of the answer', parseCount, 10_000)
    .option('--timeout <seconds>', 'give up after so long', parseCount, 30)
    .action(
      act(async (terminal, sql: string | undefined, options: QueryOptions) => {
        const { limit = 10_000, timeout = 30 } = options;
        const http = controlPlane(options, terminal.io.env);
        if (sql === undefined) {
          const found = await http.get<{ views: View[] }>('/api/v1/log/views');
          terminal.document(found);
          showViews(terminal, found.views);
          return;
        }
        const answer = await http.post<QueryAnswer>(
          '/api/v1/log/query',
          { sql, limit_rows: limit, timeout_ms: timeout * 1000 },
          { timeoutMs: (timeout + 30) * 1000 },
        );
        terminal.document(answer);
        showAnswer(terminal, answer, options.csv ?? false);
        if (answer.truncated) {
          const more =
            limit < MOST_ROWS ? 'ask for more by --limit, or group them' : 'group them, or select parts';
          terminal.warn(`only the first ${limit} rows: ${more}`);
        }
      }),
    );
  withExamples(query, [
    ['tidemill log query', 'which views and columns there are'],
    ['tidemill log query "select version, variant, count(*) from predictions group by all"', ''],
    [
      'tidemill log query "select hour(date), avg(label) from flights group by 1 order by 1"',
      'typed columns',
    ],
    ['tidemill log query "select * from flights where label is null" --csv', ''],
  ]);

  const show = withUrl(
    command
      .command('show')
      .description('count the predictions of a model by day and version; without a model, of every model'),
  )
    .argument('[model]', 'the name of a model')
    .action(
      act(async (terminal, model: string | undefined, options: { url?: string }) => {
        const http = controlPlane(options, terminal.io.env);
        const logOf = (name: string) => http.get<ModelLog>(`/api/v1/models/${encodeURIComponent(name)}/log`);
        if (model === undefined) {
          const sql = 'select model from predictions union select model from labels order by 1';
          const { rows } = await http.post<QueryAnswer>('/api/v1/log/query', { sql });
          const logs: ModelLog[] = [];
          for (const [name] of rows) logs.push(await logOf(String(name)));
          terminal.document({ models: logs });
          showLogs(terminal, logs);
          return;
        }
        const log = await logOf(model);
        terminal.document(log);
        showLog(terminal, log);
      }),
    );
  withExamples(show, [
    ['tidemill log show', 'every model'],
    ['tidemill log show flights', 'by day and version'],
  ]);

  const forget = withUrl(
    command
      .command('forget')
      .description('take the predictions with a value, and their labels, out of the log for good'),
  )
    .requiredOption(
      '--key <column=value>',
      'a logged column, or @key (what a rollout is split by), and its value',
    )
    .option('--model <model>', 'only of this model')
    .requiredOption('--reason <text>', 'why; kept in the audit log, which never holds the value')
    .action(
      act(async (terminal, options: ForgetOptions) => {
        const at = options.key.indexOf('=');
        if (at < 1) throw usageError(`--key is ${options.key}; give it as column=value`);
        const client = controlPlane(options, terminal.io.env);
        const column = options.key.slice(0, at);
        const answer = await client.post<Record<string, number>>(
          '/api/v1/log/forget',
          {
            column,
            value: options.key.slice(at + 1),
            reason: options.reason,
            ...(options.model !== undefined && { model: options.model }),
          },
          { timeoutMs: 600_000 },
        );
        terminal.document(answer);
        const { predictions = 0, labels = 0, files = 0, set_aside: setAside = 0 } = answer;
        const aside = setAside === 0 ? '' : `, and ${formatCount(setAside, 'lines')} that had been set aside`;
        terminal.line(
          predictions + setAside === 0
            ? `no prediction has ${options.key}; nothing was forgotten`
            : `forgot ${formatCount(predictions, 'predictions')} and ${formatCount(labels, 'labels')}${aside}; ${formatCount(files, 'files')} written anew`,
        );
        if (predictions + setAside === 0 && !(await isLogged(client, column)))
          terminal.warn(`no prediction in the log has a column ${column}: is it spelt so?`);
        terminal.note(
          'rows that arrive later are new, also those that a model server has logged but not sent yet; profiles and windows stay, since they hold counts and no rows; tables that a retraining was made of stay too, and backups keep what they hold',
        );
      }),
    );
  withExamples(forget, [
    ['tidemill log forget --key customer_id=4711 --reason "asked to, ticket 88"', ''],
    ['tidemill log forget --key email=ann@example.org --model churn --reason "asked to"', ''],
  ]);
}

/** Whether any prediction has the column, so that a slip of the pen is not taken for a person that is gone. */
async function isLogged(client: HttpClient, column: string): Promise<boolean> {
  if (column.startsWith('@')) return true;
  const sql = `select 1 from predictions where list_contains(json_keys(features), '${column.replaceAll("'", "''")}') limit 1`;
  const { rows } = await client.post<QueryAnswer>('/api/v1/log/query', { sql });
  return rows.length > 0;
}

function showAnswer(terminal: Terminal, { columns, rows }: QueryAnswer, csv: boolean): void {
  if (csv) {
    if (terminal.json) return;
    const lines = [columns.map(({ name }) => name), ...rows.map((row) => row.map(shown))];
    // As it is: data may hold what looks like a command.
    for (const line of lines) terminal.io.stdout.write(`${line.map(csvCell).join(',')}\n`);
    return;
  }
  terminal.table(
    columns.map(({ name }) => name),
    rows.map((row) => row.map(shown)),
  );
  terminal.note(formatCount(rows.length, 'rows'));
}

function showViews(terminal: Terminal, views: View[]): void {
  for (const { name, about, columns } of views) {
    terminal.line(`${terminal.colors.bold(name)}  ${about}`);
    terminal.table(
      ['column', 'type', ''],
      columns.map(({ name: column, type, about: words = '' }) => [column, type, words]),
    );
    terminal.line();
  }
  const model = views.find(({ name }) => name !== 'predictions' && name !== 'labels');
  if (model) {
    terminal.line(
      `For example: tidemill log query "select version, count(*), count(label) from ${sqlName(model.name)} group by all"`,
    );
  } else {
    terminal.line('No prediction is logged yet: each model that answers gets a view with its columns.');
  }
}

/** A name as SQL takes it, inside the quotes of a shell. */
function sqlName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/i.test(name) ? name : `\\"${name}\\"`;
}

function showLogs(terminal: Terminal, logs: ModelLog[]): void {
  if (logs.length === 0) {
    terminal.line('No prediction is logged yet');
    return;
  }
  terminal.table(
    ['model', 'rows', 'labelled', 'newest'],
    logs.map((log) => [
      log.model,
      log.rows,
      log.labelled,
      log.newest_event === null ? 'none' : formatTime(log.newest_event),
    ]),
  );
}

function showLog(terminal: Terminal, log: ModelLog): void {
  const newest = log.newest_event === null ? 'none yet' : formatTime(log.newest_event);
  terminal.line(
    `${terminal.colors.bold(log.model)}  ${formatCount(log.rows, 'predictions')}, ${log.labelled} labelled, newest ${newest}`,
  );
  const days = [...new Set(log.groups.map(({ day }) => day))].slice(-SHOWN_DAYS);
  const groups = log.groups.filter(({ day }) => days.includes(day));
  if (groups.length > 0) {
    terminal.table(
      ['day', 'version', 'variant', 'rows', 'labelled'],
      groups.map(({ day, version, variant, rows, labelled }) => [
        new Date(day).toISOString().slice(0, 10),
        version,
        variant,
        rows,
        labelled,
      ]),
    );
  }
  if (log.labels > log.labelled) {
    terminal.line(
      `${formatCount(log.labels, 'labels')} came; those beyond ${log.labelled} are repeats, or their prediction is not here`,
    );
  }
  const { retention, forgotten } = log.dropped;
  if (retention > 0) terminal.line(`${formatCount(retention, 'predictions')} dropped as too old`);
  if (forgotten > 0) terminal.line(`${formatCount(forgotten, 'predictions')} forgotten`);
  if (log.bad_lines > 0) {
    terminal.line(
      `${formatCount(log.bad_lines, 'lines')} of all models were no log entries, and are set aside`,
    );
  }
  for (const { replica, dropped } of log.dropping_servers ?? []) {
    terminal.warn(
      `the model server ${replica} had to drop ${formatCount(dropped, 'entries')} of its log, of all models`,
    );
  }
}

/** Lists and objects as JSON, everything else as it is. */
function shown(value: unknown): Cell {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : (value as Cell);
}
