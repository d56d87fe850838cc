import { CliError } from '../terminal/cli-error.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { HttpClient } from './http-client.ts';

/** A job, as `/api/v1/jobs` tells of it. */
export interface Job {
  run_id: string;
  flow: string;
  subject: string;
  status: string;
  trigger: { kind: string; detail?: unknown };
  actor: string;
  created_at: number;
  started_at?: number;
  finished_at?: number;
  work_ms: number;
  waiting_for?: string;
  wake_at?: number;
  failed_step?: string;
  error?: { code?: string; message: string };
}

export interface JobDetail extends Job {
  key: string;
  input: unknown;
  output?: unknown;
  log_lines: number;
  steps: {
    step: string;
    kind: string;
    status: string;
    work_ms: number;
    progress?: number;
    progress_note?: string;
    wake_at?: number;
    result?: unknown;
    error?: { message: string };
    attempts: { attempt: number; outcome?: string; error?: { message: string } }[];
    approval?: { question: string; approved?: boolean; by?: string; reason?: string };
  }[];
}

export interface JobLine {
  line: number;
  at: number;
  step: string;
  attempt: number;
  text: string;
}

interface LogAnswer {
  status: string;
  state: string;
  lines: JobLine[];
  next: number;
  step?: string;
  progress?: number;
  progress_note?: string;
}

const WAIT_MS = 20_000;
const OVER = ['succeeded', 'failed', 'cancelled', 'waiting'];

/** Prints lines with their steps. */
export function showLines(terminal: Terminal, lines: JobLine[]): void {
  for (const { step, text } of lines) terminal.line(`${terminal.colors.dim(step)}  ${text}`);
}

/**
 * Prints what a job says, with a bar of its progress, until it is over or waits.
 *
 * @throws CliError `interrupted` when `signal` is aborted; the job goes on.
 */
export async function followJob(
  terminal: Terminal,
  client: HttpClient,
  runId: string,
  signal: AbortSignal,
  after = 0,
): Promise<{ ended: JobDetail; lines: JobLine[] }> {
  const path = `/api/v1/jobs/${encodeURIComponent(runId)}`;
  const lines: JobLine[] = [];
  for (let seen = '', next = after; ; ) {
    if (signal.aborted) throw new CliError('interrupted; the job goes on', { exit: 'interrupted' });
    const answer = await client.request<LogAnswer>('GET', `${path}/logs`, {
      query: { after: next, wait_ms: WAIT_MS, seen },
      signal,
    });
    lines.push(...answer.lines);
    showLines(terminal, answer.lines);
    if (answer.progress !== undefined) {
      terminal.progress({
        label: answer.step ?? runId,
        done: answer.progress,
        total: 1,
        ...(answer.progress_note !== undefined && { detail: answer.progress_note }),
      });
    }
    ({ next, state: seen } = answer);
    if (OVER.includes(answer.status) && answer.lines.length === 0) {
      terminal.closeBar();
      return { ended: await client.get<JobDetail>(path), lines };
    }
  }
}
