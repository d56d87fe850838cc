import { resolve } from 'node:path';
import type { Command } from 'commander';
import { readSettings } from './launch/read-settings.ts';
import { findProject, readProject } from './project/read-project.ts';
import type { Act } from './terminal/act.ts';
import { interruption, stoppedOrFailed } from './terminal/interruption.ts';
import { withData, withExamples, withListening, withPort, withServePort } from './terminal/options.ts';

export function configureUp(command: Command, act: Act): void {
  withData(command, 'data folder, made when it is not there');
  withListening(withServePort(withPort(command)));
  command.option(
    '--project <place>',
    'folder or file of the project to run (default: tidemill.config.* of this folder, where there is one)',
  );
  command.action(
    act(async (terminal, options: { project?: string }) => {
      const { io } = terminal;
      const signal = interruption(io);
      const startedAt = performance.now();
      const settings = await readSettings(terminal, 'up', options);
      const { servePortOf } = await import('../settings.ts');
      const project =
        options.project === undefined ? await findProject(io, '.') : await readProject(io, options.project);
      const { startPlatform } = await import('../main.ts');
      const { readVersion } = await import('./terminal/read-version.ts');
      const dataDir = resolve(io.cwd, settings.TIDEMILL_DATA);
      const platform = await startPlatform({
        dataDir,
        host: settings.TIDEMILL_HOST,
        port: settings.TIDEMILL_PORT,
        servePort: servePortOf(settings),
        allowInsecure: settings.TIDEMILL_INSECURE_NO_AUTH,
        clockKind: settings.TIDEMILL_CLOCK,
        env: { ...io.env, TIDEMILL_LOG_LEVEL: settings.TIDEMILL_LOG_LEVEL },
        version: readVersion(),
        ...(project && { project }),
        say: (message) => terminal.warn(message),
      });
      const stopped = stoppedOrFailed(signal, platform.failed);
      try {
        terminal.line(`control plane  ${platform.url}  API at /docs`);
        terminal.line(`model server   ${platform.serveUrl}  API at /docs`);
        terminal.line(`data           ${dataDir}`);
        if (project) {
          const names = Object.keys(project.project.models).join(', ');
          terminal.line(`project        ${project.path}: ${names}`);
        }
        if ((await Promise.race([platform.ready, stopped])) !== 'stopped') {
          terminal.document({
            url: platform.url,
            serve_url: platform.serveUrl,
            data_dir: dataDir,
            pid: process.pid,
            serve_pid: platform.modelServerPid(),
          });
          const ms = Math.round(performance.now() - startedAt);
          terminal.line(`${terminal.colors.green('ready')} after ${ms} ms; stop with ^C`);
          await stopped;
          terminal.note('stopping');
        }
      } finally {
        await platform.stop();
      }
    }),
  );
  withExamples(command, [
    ['tidemill up', 'http://127.0.0.1:7070, data in ./.tidemill'],
    ['tidemill up --data /var/lib/tidemill --port 8080 --serve-port 8081', ''],
    ['tidemill up --port 0 --json', 'free ports; one JSON line with the URLs when ready'],
  ]);
}
