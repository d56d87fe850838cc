import { resolve } from 'node:path';
import type { Command } from 'commander';
import { DEFAULTS } from '../setting-defaults.ts';
import { readSettings } from './launch/read-settings.ts';
import type { Act } from './terminal/act.ts';
import { interruption, whenAborted } from './terminal/interruption.ts';
import { withData, withExamples, withListening, withServePort } from './terminal/options.ts';

export function configureServe(command: Command, act: Act): void {
  command.option('--url <url>', `the control plane to follow (default: $TIDEMILL_URL, else ${DEFAULTS.url})`);
  withData(command, 'data folder; models are cached in its serving/');
  withListening(withServePort(command));
  command
    .option('--default-model <name>', 'the model that /predict answers for when there are several')
    .action(
      act(async (terminal, options: object) => {
        const { io } = terminal;
        const signal = interruption(io);
        const settings = await readSettings(terminal, 'serve', options);
        const { startModelServerFromOptions } = await import('../start-model-server.ts');
        const { readVersion } = await import('./terminal/read-version.ts');
        const controlPlaneUrl = settings.TIDEMILL_URL;
        const server = await startModelServerFromOptions({
          controlPlaneUrl,
          cacheDir: resolve(io.cwd, settings.TIDEMILL_DATA, 'serving'),
          host: settings.TIDEMILL_HOST,
          port: settings.TIDEMILL_SERVE_PORT,
          allowInsecure: settings.TIDEMILL_INSECURE_NO_AUTH,
          clockKind: settings.TIDEMILL_CLOCK,
          env: io.env,
          version: readVersion(),
          say: (message) => terminal.warn(message),
          ...(settings.TIDEMILL_DEFAULT_MODEL !== undefined && {
            defaultModel: settings.TIDEMILL_DEFAULT_MODEL,
          }),
        });
        terminal.line(`model server  ${server.url}  follows ${controlPlaneUrl}`);
        const stopped = whenAborted(signal);
        try {
          if ((await Promise.race([server.ready, stopped])) !== 'stopped') {
            terminal.document({ serve_url: server.url, url: controlPlaneUrl, pid: process.pid });
            terminal.line('ready');
            await stopped;
          }
        } finally {
          await server.stop();
        }
      }),
    );
  withExamples(command, [
    ['tidemill serve --url http://tidemill.internal:7070', 'on another machine'],
    ['tidemill serve --serve-port 0 --json', 'prints the real URL'],
  ]);
}
