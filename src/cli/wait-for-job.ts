import type { HttpClient } from './http-client.ts';
import type { Terminal } from './terminal.ts';

export interface JobView {
  run_id: string;
  status: string;
  output?: unknown;
  error?: { message?: string };
}

interface LogPage {
  lines: { line: number; step: string; text: string }[];
  status: string;
  /** Another one means that something has changed. */
  state: string;
}

/** How long one question for more lines is held. */
const WAIT_MS = 10_000;
const ENDED = new Set(['succeeded', 'failed', 'cancelled']);

/** Shows a job's log as it comes until the job has ended; says once that it waits for somebody. */
export async function waitForJob(terminal: Terminal, client: HttpClient, runId: string): Promise<JobView> {
  const path = `/api/v1/jobs/${encodeURIComponent(runId)}`;
  let after = 0;
  let seen: string | undefined;
  let isWaiting = false;
  for (;;) {
    const page = await client.get<LogPage>(`${path}/logs`, { after, wait_ms: WAIT_MS, seen });
    const { lines, status } = page;
    seen = page.state;
    for (const { line, step, text } of lines) {
      after = Math.max(after, line);
      terminal.note(`${step.padEnd(9)} ${text}`);
    }
    if (ENDED.has(status) && lines.length === 0) return client.get<JobView>(path);
    if (status === 'waiting' && !isWaiting) {
      isWaiting = true;
      terminal.note(`it waits; decide with: tidemill jobs approve ${runId} approve`);
    }
  }
}
