import type { Command } from 'commander';
import { controlPlane, modelServer } from './http/http-client.ts';
import type { Act } from './terminal/act.ts';
import { CliError } from './terminal/cli-error.ts';
import { withExamples, withServeUrl, withUrl } from './terminal/options.ts';
import { formatCount, formatDuration } from './terminal/terminal.ts';

interface Status {
  version: string;
  database: { dialect: string };
  data_dir?: string;
  uptime_ms: number;
  counts: Record<string, number>;
  models: { name: string; champion?: { version: string; servable?: boolean } | string }[];
  model_servers: string[];
}

export function configureStatus(command: Command, act: Act): void {
  command.action(
    act(async (terminal, options: { url?: string; serveUrl?: string }) => {
      const client = controlPlane(options, terminal.io.env);
      const status = await client.get<Status>('/api/v1/status');
      const serve = await modelServer(options, terminal.io.env);
      const serving = await serve.probe('/ready').then(
        ({ status: code, body }) => ({ url: serve.url, ready: code === 200, ...body }),
        (error: unknown) => {
          if (error instanceof CliError) return { url: serve.url, ready: false, status: error.message };
          throw error;
        },
      );
      terminal.document({ url: client.url, ...status, serving });
      const { colors } = terminal;
      const mark = (isGood: boolean) => (isGood ? colors.green('●') : colors.red('●'));
      terminal.line(
        `${mark(true)} control plane  ${client.url}  tidemill ${status.version}, ${status.database.dialect}, up ${formatDuration(status.uptime_ms)}${status.data_dir ? `, data in ${status.data_dir}` : ''}`,
      );
      terminal.line(
        `${mark(serving.ready)} model server   ${serving.url}  ${serving.ready ? 'ready' : `not ready: ${String(serving['status' as never] ?? 'no answer')}`}`,
      );
      const ignored = Number(serving['ignored_event_times' as never] ?? 0);
      if (ignored > 0) {
        terminal.line(
          `${mark(false)} ${formatCount(ignored, 'event times')} so far ahead of all others that the clock did not follow them; their rows are kept`,
        );
      }
      const {
        open_alarms: alarms = 0,
        paused_rollouts: paused = 0,
        unwatched_models: unwatched = 0,
        ...counts
      } = status.counts;
      if (alarms > 0) terminal.line(`${mark(false)} ${formatCount(alarms, 'open alarms')}: tidemill alarms`);
      if (paused > 0)
        terminal.line(
          `${mark(false)} ${formatCount(paused, 'paused rollouts')}: tidemill rollout show MODEL`,
        );
      if (unwatched > 0)
        terminal.line(
          `${mark(false)} ${formatCount(unwatched, 'models')} whose drift nothing has tested for two windows or more: tidemill alarms`,
        );
      terminal.line(
        Object.entries(counts)
          .map(([what, count]) => formatCount(count, what.replaceAll('_', ' ')))
          .join(', '),
      );
      if (status.models.length === 0) return;
      terminal.line();
      terminal.table(
        ['model', 'champion'],
        status.models.map(({ name, champion }) => [
          name,
          typeof champion === 'string' ? champion : (champion?.version ?? 'none'),
        ]),
      );
    }),
  );
  withServeUrl(withUrl(command));
  withExamples(command, [['tidemill status', '']]);
}
