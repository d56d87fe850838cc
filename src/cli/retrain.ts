import type { Command } from 'commander';
import { followJob } from './http/follow-job.ts';
import { controlPlane, type HttpClient } from './http/http-client.ts';
import type { Act } from './terminal/act.ts';
import { CliError } from './terminal/cli-error.ts';
import { interruption } from './terminal/interruption.ts';
import { withExamples, withUrl } from './terminal/options.ts';
import { formatTime, type Terminal } from './terminal/terminal.ts';

interface RetrainOptions {
  reason?: string;
  history?: boolean;
  wait?: boolean;
  url?: string;
}

interface Result {
  outcome: string;
  version?: number;
  summary: string;
  verdict?: string;
  rollout?: string;
  from?: string;
}

interface Pipeline {
  name: string;
  next_scheduled_at?: number;
  cooldown_until?: number;
  decisions: {
    at: number;
    why: string;
    outcome: 'started' | 'skipped';
    reason?: string;
    expected_gain?: string;
    run_id?: string;
    actor: string;
  }[];
  runs: {
    run_id: string;
    status: string;
    outcome?: string;
    version?: string;
    summary?: string;
    error?: string;
    gained?: { summary: string };
  }[];
}

export function configureRetrain(command: Command, act: Act): void {
  command
    .argument('<model>', 'a model of a project')
    .option('--reason <text>', 'why; kept with the run and the version')
    .option('--history', 'start none: show what was decided about retraining it, and what came of it')
    .option('--wait', 'until it has ended or waits for somebody, with its log')
    .action(
      act(async (terminal, name: string, options: RetrainOptions) => {
        const { io, colors } = terminal;
        const client = controlPlane(options, io.env);
        if (options.history) return showHistory(terminal, client, name);
        const token = io.env['TIDEMILL_TRIGGER_TOKEN'];
        const started = await client.post<{ run_id: string; why: string }>(
          `/api/v1/models/${encodeURIComponent(name)}/retrain`,
          { trigger: 'hand', ...(options.reason !== undefined && { reason: options.reason }) },
          token ? { headers: { authorization: `Bearer ${token}` } } : {},
        );
        if (!options.wait) {
          terminal.document({ name, ...started });
          terminal.line(`retraining ${name}: ${started.run_id}`);
          terminal.line(`watch it with: tidemill jobs logs ${started.run_id} --follow`);
          return;
        }
        const { ended: job } = await followJob(terminal, client, started.run_id, interruption(io));
        terminal.document({
          name,
          ...started,
          status: job.status,
          result: job.output ?? null,
          error: job.error ?? null,
        });
        if (job.status === 'waiting') {
          terminal.line(
            `it waits for ${job.waiting_for}; decide with: tidemill jobs approve ${started.run_id}`,
          );
          return;
        }
        if (job.status !== 'succeeded') {
          throw new CliError(
            `retraining ${started.run_id} ${job.status}: ${job.error?.message ?? 'see its log'}`,
          );
        }
        const { outcome, version, summary, verdict, from } = job.output as Result;
        const sign =
          outcome === 'rejected' || outcome === 'not approved' ? colors.yellow('–') : colors.green('✓');
        const end =
          outcome === 'rollout'
            ? ` is rolled out${from === undefined ? '' : ` beside ${from}`}`
            : `: ${outcome}`;
        terminal.line(
          `${sign} ${name}${version === undefined ? '' : ` version ${version}`}${end}${verdict === undefined ? '' : ` (${verdict})`}`,
        );
        terminal.line(`  ${summary}`);
      }),
    );
  withUrl(command);
  withExamples(command, [
    ['tidemill retrain flights --reason "new timetable"', ''],
    ['tidemill retrain flights --wait', 'shows its log and how it ended'],
    ['tidemill retrain flights --history', 'why it was retrained, or was not'],
  ]);
}

async function showHistory(terminal: Terminal, client: HttpClient, name: string): Promise<void> {
  const pipeline = await client.get<Pipeline>(`/api/v1/models/${encodeURIComponent(name)}/pipeline`);
  terminal.document(pipeline);
  const { decisions, runs, next_scheduled_at: next, cooldown_until: until } = pipeline;
  if (decisions.length === 0) terminal.line(`Nothing was decided about retraining ${name} yet.`);
  for (const { at, why, outcome, reason, expected_gain: expected, run_id: runId, actor } of decisions) {
    const run = runs.find((each) => each.run_id === runId);
    const sign = outcome === 'started' ? terminal.colors.green('✓') : terminal.colors.yellow('–');
    terminal.line(`${sign} ${formatTime(at)}  ${why}${actor === 'tidemill' ? '' : ` (${actor})`}`);
    if (reason !== undefined) terminal.line(`  not started: ${reason}`);
    else if (expected !== undefined) terminal.line(`  ${expected}`);
    if (runId === undefined) continue;
    const version = run?.version === undefined ? '' : `version ${run.version} `;
    terminal.line(`  ${runId}: ${run === undefined ? 'started' : `${version}${run.outcome ?? run.status}`}`);
    const words = run?.error ?? run?.summary;
    if (words !== undefined) terminal.line(`  ${words}`);
    if (run?.gained !== undefined) terminal.line(`  gained: ${run.gained.summary}`);
  }
  if (until !== undefined) terminal.line(`cooldown until ${formatTime(until)}`);
  if (next !== undefined) terminal.line(`next by its schedule: ${formatTime(next)}`);
}
