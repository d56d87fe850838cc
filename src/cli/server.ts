import { resolve } from 'node:path';
import type { Command } from 'commander';
import { readSettings } from './launch/read-settings.ts';
import type { Act } from './terminal/act.ts';
import { interruption, stoppedOrFailed } from './terminal/interruption.ts';
import { withData, withExamples, withListening, withPort } from './terminal/options.ts';

export function configureServer(command: Command, act: Act): void {
  withData(command, 'data folder, made when it is not there');
  withListening(withPort(command));
  command.action(
    act(async (terminal, options: object) => {
      const { io } = terminal;
      const signal = interruption(io);
      const settings = await readSettings(terminal, 'server', options);
      const { startServer } = await import('../start-server.ts');
      const { readVersion } = await import('./terminal/read-version.ts');
      const dataDir = resolve(io.cwd, settings.TIDEMILL_DATA);
      const server = await startServer({
        dataDir,
        host: settings.TIDEMILL_HOST,
        port: settings.TIDEMILL_PORT,
        allowInsecure: settings.TIDEMILL_INSECURE_NO_AUTH,
        clockKind: settings.TIDEMILL_CLOCK,
        env: io.env,
        version: readVersion(),
      });
      terminal.document({ url: server.url, data_dir: dataDir, pid: process.pid });
      terminal.line(`control plane  ${server.url}  data in ${dataDir}`);
      terminal.line('ready; models are served by `tidemill serve`');
      try {
        await stoppedOrFailed(signal, server.failed);
      } finally {
        await server.stop();
      }
    }),
  );
  withExamples(command, [
    ['tidemill server --data /var/lib/tidemill', ''],
    ['tidemill server --port 0 --json', 'prints the real URL'],
  ]);
}
