import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readSources, staticGraph } from '../../scripts/check-architecture.ts';

const sources = readSources(fileURLToPath(new URL('..', import.meta.url)));
const ALLOWED = ['platform', 'models', 'profiles', 'serving'];

describe.each(['start-model-server.ts', 'serving/versions/model-worker.ts'])(
  'the module graph of %s',
  (entry) => {
    it('holds no control-plane slice, no DuckDB and no AWS SDK, not even behind a dynamic import', () => {
      const { files, packages } = staticGraph(entry, sources, { dynamic: true });
      expect(files).toContain('models/session/create-session.ts');
      const slices = new Set(files.filter((file) => file.includes('/')).map((file) => file.split('/')[0]));
      expect([...slices].filter((slice) => !ALLOWED.includes(slice ?? ''))).toEqual([]);
      expect(packages.filter((name) => /duckdb|aws/.test(name))).toEqual([]);
    });

    it('loads the ONNX runtime, PostgreSQL and the reference page only when they are used', () => {
      const { packages } = staticGraph(entry, sources);
      expect(packages.filter((name) => /onnxruntime|postgres|swagger/.test(name))).toEqual([]);
    });
  },
);
