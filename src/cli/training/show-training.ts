import { showSchema } from '../datasets.ts';
import { formatDuration, formatNumber, type Terminal } from '../terminal/terminal.ts';
import type { Trained } from './train-model.ts';

/** Prints what a training found: schema, remarks, held-out metrics, importance, and what was registered. */
export function showTraining(terminal: Terminal, trained: Trained): void {
  const { colors } = terminal;
  const { plan, model, table } = trained;
  terminal.line(`${colors.bold(`${table.rows} rows`)}, target ${plan.target} (${plan.task})`);
  const roles = new Map([
    ...plan.excluded.map(({ column, why }) => [column, `left out: ${why}`] as const),
    ...plan.features.map(({ name }) => [name, 'feature'] as const),
  ]);
  showSchema(
    terminal,
    table.schema.map((column) => ({ ...column, role: roles.get(column.name) ?? column.role })),
  );
  for (const note of [...(table.notes ?? []), ...plan.notes]) terminal.line(`note: ${note}`);
  for (const warning of [...plan.warnings, ...model.warnings]) terminal.warn(warning);

  terminal.line();
  terminal.line(
    `held out: ${model.report.rows.test} rows, trained on ${model.report.rows.train} in ${formatDuration(trained.durationMs)}`,
  );
  showMetrics(terminal, model.metrics);
  showPerClass(terminal, model.report.heldOut);

  terminal.line();
  terminal.line(colors.bold('importance'));
  const widest = Math.max(...model.importance.map(({ column }) => column.length));
  for (const { column, share } of model.importance.slice(0, 15)) {
    const bar = '█'.repeat(Math.round(share * 40)) || '▏';
    terminal.line(`${column.padEnd(widest)}  ${(share * 100).toFixed(1).padStart(5)} %  ${bar}`);
  }
  terminal.line();
  terminal.line(
    `${colors.green('✓')} run ${trained.runId.slice(0, 12)}, model ${trained.name} version ${colors.bold(trained.version)}${table.version === undefined ? '' : `, rows ${table.name}@${table.version}`}`,
  );
}

/** The metrics beside what a guesser of the base rate would get. */
export function showMetrics(terminal: Terminal, metrics: Record<string, number | null>): void {
  const names = Object.keys(metrics).filter((name) => !name.startsWith('baseline_'));
  terminal.table(
    ['metric', 'model', 'guessing'],
    names.map((name) => [name, rounded(metrics[name]), rounded(metrics[`baseline_${name}`])]),
  );
}

/** Precision, recall and support of each class, where there are classes. */
export function showPerClass(terminal: Terminal, report: object): void {
  const classes = (report as { perClass?: Record<string, unknown>[] }).perClass;
  if (!Array.isArray(classes) || classes.length === 0 || classes.length > 20) return;
  terminal.line();
  const headings = Object.keys(classes[0] as object);
  terminal.table(
    headings,
    classes.map((row) => headings.map((heading) => row[heading] as string | number)),
  );
}

function rounded(value: number | null | undefined): number | undefined {
  return value == null ? undefined : Number(formatNumber(value));
}
