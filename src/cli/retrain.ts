import type { Command } from 'commander';
import { followJob } from './http/follow-job.ts';
import { controlPlane } from './http/http-client.ts';
import type { Act } from './terminal/act.ts';
import { CliError } from './terminal/cli-error.ts';
import { interruption } from './terminal/interruption.ts';
import { withExamples, withUrl } from './terminal/options.ts';

interface Result {
  outcome: string;
  version?: number;
  summary: string;
  verdict?: string;
  rollout?: string;
  from?: string;
}

export function configureRetrain(command: Command, act: Act): void {
  command
    .argument('<model>', 'a model of a project')
    .option('--reason <text>', 'why; kept with the run and the version')
    .option('--wait', 'until it has ended or waits for somebody, with its log')
    .action(
      act(async (terminal, name: string, options: { reason?: string; wait?: boolean; url?: string }) => {
        const { io, colors } = terminal;
        const client = controlPlane(options, io.env);
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
  ]);
}
