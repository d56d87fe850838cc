import pc from 'picocolors';
import { withCommandPrefix } from './command-prefix.ts';

/** Where a command writes, and what surrounds it; a test passes its own. */
export interface Io {
  stdout: Output;
  stderr: Output;
  env: Record<string, string | undefined>;
  cwd: string;
  /** Ends the commands that run until told to stop; without it they listen for SIGINT and SIGTERM. */
  signal?: AbortSignal;
}

export interface Output {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

export type Cell = string | number | boolean | null | undefined;

export type Terminal = ReturnType<typeof createTerminal>;

/**
 * The one way in which commands print. Results go to stdout; progress, notes and warnings go to stderr, so that a
 * pipe gets results only. Under `--json` stdout carries exactly one JSON document and progress is silent.
 */
export function createTerminal(io: Io, { json = false }: { json?: boolean } = {}) {
  const colors = pc.createColors(wantsColors(io, io.stdout));
  const noteColors = pc.createColors(wantsColors(io, io.stderr));
  let barIsOpen = false;
  let lastPlainAt = 0;

  const closeBar = () => {
    if (!barIsOpen) return;
    io.stderr.write('\r\u001b[K');
    barIsOpen = false;
  };

  return {
    json,
    colors,
    io,

    /** Prints a line of the result, its commands as the user can type them; silent under `--json`. */
    line(text = ''): void {
      if (json) return;
      closeBar();
      io.stdout.write(`${withCommandPrefix(text, io.env)}\n`);
    },

    /** Prints a remark beside the result, to stderr. */
    note(text: string): void {
      if (json) return;
      closeBar();
      io.stderr.write(`${noteColors.dim(withCommandPrefix(text, io.env))}\n`);
    },

    /** Prints a warning to stderr, under `--json` as `{"warning"}` on a line of its own. */
    warn(text: string): void {
      if (json) {
        io.stderr.write(`${JSON.stringify({ warning: text })}\n`);
        return;
      }
      closeBar();
      io.stderr.write(`${noteColors.yellow('warning:')} ${withCommandPrefix(text, io.env)}\n`);
    },

    /** Prints the command's one JSON document; silent without `--json`. */
    document(value: unknown): void {
      if (json) io.stdout.write(`${JSON.stringify(value)}\n`);
    },

    /** Prints rows under headings, columns aligned, numbers to the right. */
    table(headings: string[], rows: Cell[][]): void {
      if (json) return;
      closeBar();
      for (const text of formatTable(headings, rows, colors.bold)) io.stdout.write(`${text}\n`);
    },

    /**
     * Shows how far a long step is: a bar that redraws itself on a terminal, elsewhere a plain line at most every
     * two seconds and at the end. Without a `total` the detail alone tells.
     */
    progress({
      label,
      done,
      total,
      detail,
    }: {
      label: string;
      done: number;
      total?: number;
      detail?: string;
    }) {
      if (json) return;
      if (total === undefined) {
        const now = Date.now();
        if (io.stderr.isTTY) {
          io.stderr.write(`\r\u001b[K${label} ${detail ?? done}`);
          barIsOpen = true;
        } else if (now - lastPlainAt >= 2000) {
          lastPlainAt = now;
          io.stderr.write(`${label} ${detail ?? done}\n`);
        }
        return;
      }
      const share = total > 0 ? Math.min(1, done / total) : 0;
      if (io.stderr.isTTY) {
        const width = 24;
        const filled = Math.round(share * width);
        const bar = `${'█'.repeat(filled)}${'░'.repeat(width - filled)}`;
        const text = `${label} ${bar} ${String(Math.floor(share * 100)).padStart(3)} %${detail ? `  ${detail}` : ''}`;
        io.stderr.write(`\r\u001b[K${text.slice(0, (io.stderr.columns ?? 100) - 1)}`);
        barIsOpen = true;
        if (share === 1) closeBar();
        return;
      }
      const now = Date.now();
      // A step that has only begun, or that is over before two seconds have passed, needs no line.
      if (share === 0 || (share < 1 && now - lastPlainAt < 2000)) return;
      lastPlainAt = now;
      io.stderr.write(`${label} ${Math.floor(share * 100)} %${detail ? ` ${detail}` : ''}\n`);
    },

    /** Removes an unfinished bar. */
    closeBar,
  };
}

/** Lines of a table: headings, then rows; a column whose cells are all numbers is aligned to the right. */
export function formatTable(
  headings: string[],
  rows: Cell[][],
  emphasise: (text: string) => string = (text) => text,
): string[] {
  const texts = rows.map((row) => headings.map((_, column) => cellText(row[column])));
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...texts.map((row) => row[column]?.length ?? 0)),
  );
  const isNumeric = headings.map(
    (_, column) =>
      rows.length > 0 && rows.every((row) => typeof row[column] === 'number' || row[column] == null),
  );
  const lay = (cells: string[]) =>
    cells
      .map((text, column) =>
        isNumeric[column] ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return [emphasise(lay(headings)), ...texts.map(lay)];
}

function cellText(cell: Cell): string {
  if (cell == null) return '-';
  if (typeof cell === 'number') return formatNumber(cell);
  return String(cell);
}

/** Numbers for people: whole ones with thin grouping left out, others with four significant decimals. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1000 ? value.toFixed(1) : String(Number(value.toPrecision(4)));
}

/** Milliseconds for people. */
export function formatDuration(ms: number): string {
  // Rounded before a unit is chosen, else 59.96 s would read 60.0 s.
  const whole = Math.round(ms);
  if (whole < 1000) return `${whole} ms`;
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return twoUnits(seconds, 60, 'min', 's');
  const minutes = Math.round(ms / 60_000);
  if (minutes < 24 * 60) return twoUnits(minutes, 60, 'h', 'min');
  const hours = Math.round(ms / 3_600_000);
  return twoUnits(hours, 24, 'd', 'h');
}

/** `2 h 1 min`, and `2 h` where nothing is left over. */
function twoUnits(count: number, size: number, large: string, small: string): string {
  const rest = count % size;
  return `${Math.floor(count / size)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`;
}

/** A count with its noun, `1 model` or `2 models`; the noun is given in the plural, as the status names it. */
export function formatCount(count: number, plural: string): string {
  const singular = plural.endsWith('ies') ? `${plural.slice(0, -3)}y` : plural.replace(/s$/, '');
  return `${count} ${count === 1 ? singular : plural}`;
}

/** Bytes for people, powers of 1000. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

/** A moment in the reader's sight: `2026-11-21 04:20:17Z`. */
export function formatTime(ms: number | undefined | null): string {
  return ms == null ? '-' : `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

function wantsColors(io: Io, output: Output): boolean {
  if (io.env['NO_COLOR']) return false;
  if (io.env['FORCE_COLOR']) return true;
  return Boolean(output.isTTY) && io.env['TERM'] !== 'dumb';
}
