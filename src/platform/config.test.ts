import { expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigError, findUnknownVariables, loadConfig } from './index.ts';

const schema = z.object({
  TIDEMILL_HOST: z.string().default('127.0.0.1'),
  TIDEMILL_SERVE_PORT: z.coerce.number().int().min(0).max(65535).default(7071).describe('a port, 0 to 65535'),
  TIDEMILL_DATABASE_URL: z
    .string()
    .regex(/^postgres:/)
    .optional()
    .describe('a URL as postgres://user:password@host/database'),
  TIDEMILL_TOKEN: z.string().min(8).optional(),
});

it('reads variables, takes defaults for what is not set, and lets a flag win', () => {
  expect(loadConfig(schema, { TIDEMILL_SERVE_PORT: '80', TIDEMILL_HOST: '' })).toEqual({
    TIDEMILL_HOST: '127.0.0.1',
    TIDEMILL_SERVE_PORT: 80,
  });
  const config = loadConfig(schema, { TIDEMILL_SERVE_PORT: '80' }, { servePort: '81', host: 'localhost' });
  expect(config).toEqual({ TIDEMILL_HOST: 'localhost', TIDEMILL_SERVE_PORT: 81 });
});

it('names the wrong variable, its value and what would be right', () => {
  expect(() => loadConfig(schema, { TIDEMILL_SERVE_PORT: 'many' })).toThrow(
    new ConfigError('TIDEMILL_SERVE_PORT=many is wrong: it must be a port, 0 to 65535'),
  );
});

it('names the flag when the flag is wrong, and every wrong setting', () => {
  expect(() => loadConfig(schema, { TIDEMILL_TOKEN: 'short' }, { servePort: 70000 })).toThrow(
    /^--serve-port=70000 is wrong: it must be a port, 0 to 65535\nTIDEMILL_TOKEN=\(hidden\) is wrong: /,
  );
});

it('shows no password of a wrong URL', () => {
  expect(() => loadConfig(schema, { TIDEMILL_DATABASE_URL: 'mysql://me:secret@db/x' })).toThrow(
    'TIDEMILL_DATABASE_URL=mysql://(hidden)@db/x is wrong: it must be a URL as postgres://',
  );
});

it('says which variable and flag are missing', () => {
  const needs = z.object({ TIDEMILL_URL: z.string().describe('the URL of the server') });
  expect(() => loadConfig(needs, {})).toThrow(
    'TIDEMILL_URL (--url) is not set; it must be the URL of the server',
  );
});

it('finds unknown variables and what was meant, and leaves those of others', () => {
  const env = {
    TIDEMILL_SERVEPORT: '1',
    TIDEMILL_NONSENSE_AT_ALL: '1',
    PATH: '/bin',
    TIDEMILL_HOST: 'x',
    TIDEMILL_A: '1',
  };
  expect(findUnknownVariables(env, [schema, 'TIDEMILL_A'])).toEqual([
    'TIDEMILL_SERVEPORT is not a setting of Tidemill; did you mean TIDEMILL_SERVE_PORT?',
    'TIDEMILL_NONSENSE_AT_ALL is not a setting of Tidemill',
  ]);
});
