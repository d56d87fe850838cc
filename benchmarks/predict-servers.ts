import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, systemClock } from '../src/platform/index.ts';
import { startModelServer } from '../src/serving/index.ts';
import { createControlPlaneClient } from '../src/start-model-server.ts';
import { forestModel, sha256Of, withProfile } from '../tests/support/served-models.ts';

/**
 * The process under load: `bare` parses and re-serialises the JSON; `tidemill` predicts, with everything on, its log
 * shipped to the URL given; `unrecorded` does without log and profile.
 */
const FEATURES = 20;
const [which, sinkUrl = ''] = process.argv.slice(2);

if (which === 'bare') {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      const text = JSON.stringify(JSON.parse(body));
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      });
      response.end(text);
    });
  });
  server.listen(0, '127.0.0.1', () => {
    process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  });
} else {
  const row = Object.fromEntries(
    Array.from({ length: FEATURES }, (_, i) => [`feature_${i}`, (i * 7 + 3) / 143]),
  );
  const { bytes } = await withProfile(forestModel({ trees: 100, depth: 6, features: FEATURES }), [row]);
  const { shipSegment, reportProfiles } = createControlPlaneClient(sinkUrl);
  const champion = { version: '1', sha256: sha256Of(bytes), size_bytes: bytes.byteLength };
  const cacheDir = mkdtempSync(join(tmpdir(), 'tidemill-predict-'));
  process.on('exit', () => rmSync(cacheDir, { recursive: true, force: true }));
  process.on('disconnect', () => process.exit());
  const server = await startModelServer({
    resolveDesiredState: (revision, signal) =>
      revision === undefined
        ? Promise.resolve({ revision: '1', models: [{ name: 'forest', champion }], not_servable: [] })
        : new Promise((_resolve, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error)),
          ),
    fetchModel: () => Promise.resolve(bytes),
    isRecorded: which === 'tidemill',
    shipSegment,
    reportProfiles,
    cacheDir,
    logger: createLogger({ level: 'info', name: 'serve' }),
    clock: systemClock,
    host: '127.0.0.1',
    port: 0,
    version: '0.0.0',
  });
  await server.ready;
  process.send?.({ url: server.url });
}
