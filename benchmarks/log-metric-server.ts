import { startServer } from '../src/start-server.ts';

/** The control plane on a folder, with group commit on or off; sends its URL to the process that forked it. */
const [dataDir = '', groupCommit] = process.argv.slice(2);
const server = await startServer({
  dataDir,
  host: '127.0.0.1',
  port: 0,
  env: {},
  version: 'benchmark',
  groupCommit: groupCommit === 'on',
});
process.send?.({ url: server.url });
process.once('disconnect', () => void server.stop());
