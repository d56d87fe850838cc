import pc from 'picocolors';
import { withCommandPrefix } from './command-prefix.ts';
import { type Cell, formatTable } from './format-table.ts';

export type { Cell } from './format-table.ts';
export { formatTable } from './format-table.ts';
export { formatBytes, formatCount, formatDuration, formatNumber, formatTime } from './format-values.ts';

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

export type Terminal = ReturnType<typeof createTerminal>;

/** Where an unfinished bar stands: an error that ends the command is printed by another terminal on the same output. */
const openBars = new WeakSet<Output>();

/**
 * The one way in which commands print. Results go to stdout; progress, notes and warnings go to stderr, so that a
 * pipe gets results only. Under `--json` stdout carries exactly one JSON document and progress is silent.
 */
export function createTerminal(io: Io, { json = false }: { json?: boolean } = {}) {
  const colors = pc.createColors(wantsColors(io, io.stdout));
  const noteColors = pc.createColors(wantsColors(io, io.stderr));
  let lastPlainAt = 0;

  const closeBar = () => {
    if (!openBars.delete(io.stderr)) return;
    io.stderr.write('\r\u001b[K');
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

    /** Prints rows under headings, columns aligned, numbers to the right; on a terminal not wider than it. */
    table(headings: string[], rows: Cell[][]): void {
      if (json) return;
      closeBar();
      // A pipe gets a row a line, however wide.
      const maxWidth = io.stdout.isTTY ? io.stdout.columns : undefined;
      for (const text of formatTable(headings, rows, { emphasise: colors.bold, maxWidth }))
        io.stdout.write(`${text}\n`);
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
          openBars.add(io.stderr);
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
        openBars.add(io.stderr);
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

function wantsColors(io: Io, output: Output): boolean {
  if (io.env['NO_COLOR']) return false;
  const forced = io.env['FORCE_COLOR'];
  if (forced) return forced !== '0' && forced !== 'false';
  return Boolean(output.isTTY) && io.env['TERM'] !== 'dumb';
}
