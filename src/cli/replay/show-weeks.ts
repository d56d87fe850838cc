import type { Terminal } from '../terminal/terminal.ts';
import type { ReplayWeek } from './replay-weeks.ts';

const INDENT = 3;
/** Where the width is not known, as in a pipe. */
const COLUMNS = 120;

/** Prints weeks as a table, line by line as they end; events that find no room go on below, under their heading. */
export function showWeeks(terminal: Terminal, { isScored = false }: { isScored?: boolean } = {}) {
  const { colors, io } = terminal;
  const heads = ['week of   ', 'requests', 'errors', ...(isScored ? ['  AUC', 'never', 'log loss'] : [])];
  const left = INDENT + heads.join('  ').length + 2;
  const width = Math.max(24, (io.stdout.columns ?? COLUMNS) - left - 1);
  let isFirst = true;

  return (week: ReplayWeek): void => {
    if (isFirst) {
      terminal.line(colors.bold(`${' '.repeat(INDENT)}${heads.join('  ')}  alarms (!) and decisions`));
      isFirst = false;
    }
    const score = (value: number | null) => (value === null ? '–' : value.toFixed(3));
    const cells = [
      week.week,
      String(week.requests),
      String(week.errors),
      ...(isScored ? [score(week.auc), score(week.auc_never_retrained), score(week.log_loss)] : []),
    ].map((text, column) => text.padStart(heads[column]?.length ?? 0));
    const [first = '', ...more] = layEvents(eventsOf(week), width);
    const paint = (line: string) => line.replace(/![^,]*/g, (alarm) => colors.red(alarm));
    terminal.line(`${' '.repeat(INDENT)}${cells.join('  ')}  ${paint(first)}`.trimEnd());
    for (const line of more) terminal.line(`${' '.repeat(left)}${paint(line)}`);
  };
}

/** Alarms and decisions of a week by the day that they begin with; of one day the alarm comes first. */
function eventsOf({ alarms, decisions }: ReplayWeek): string[] {
  const events = [
    ...alarms.map((text) => ({ day: text.slice(0, 5), text: `! ${text}` })),
    ...decisions.map((text) => ({ day: text.slice(0, 5), text })),
  ];
  return events.sort((a, b) => (a.day < b.day ? -1 : a.day > b.day ? 1 : 0)).map(({ text }) => text);
}

/** Lays events after each other, a line full at a time; one that is longer than a line has a line of its own. */
export function layEvents(events: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const event of events) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 2 + event.length < width) {
      lines[lines.length - 1] = `${line}, ${event}`;
    } else {
      if (line !== undefined) lines[lines.length - 1] = `${line},`;
      lines.push(event);
    }
  }
  return lines;
}
