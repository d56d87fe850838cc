import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { tempDir } from '../../tests/support/index.ts';
import { runCapturedCli } from '../../tests/support/run-captured-cli.ts';
import { toJsonRow } from './predict/write-predictions.ts';
import { csvCell } from './terminal/csv-cell.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A model server that answers every row with its own first value. */
async function echoing() {
  const batches: number[] = [];
  const paths: string[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      if (request.method === 'GET') {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ signature: { columns: [{ name: 'name', type: 'string' }] } }));
        return;
      }
      paths.push(request.url ?? '');
      const body = JSON.parse(text);
      const answer = (row: Record<string, unknown>) => ({
        prediction_id: 'id',
        prediction: Object.values(row)[0],
        confidence: 0.75,
        model_version: '3',
      });
      response.setHeader('content-type', 'application/json');
      if (body.instances?.some((row: { name: unknown }) => row.name === 'bad')) {
        response.statusCode = 400;
        response.end(JSON.stringify({ error_code: 'INVALID_PARAMETER_VALUE', message: 'row 0: no' }));
        return;
      }
      if (body.instances) batches.push(body.instances.length);
      response.end(
        JSON.stringify(body.instances ? { predictions: body.instances.map(answer) } : answer(body.features)),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push(server);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, batches, paths };
}

function writeCsv(text: string): string {
  const file = join(tempDir(), 'rows.csv');
  writeFileSync(file, text);
  return file;
}

describe('tidemill predict', () => {
  it('sends rows in batches and writes each with its prediction, quoted where CSV asks for it', async () => {
    const { url, batches, paths } = await echoing();
    const file = writeCsv('name,size\n"a, b",1\n"say ""x""",2\nplain,3\n');
    const out = join(tempDir(), 'out.csv');
    const argv = ['predict', 'churn', file, '--serve-url', url, '--batch', '2'];
    expect((await runCapturedCli([...argv, '--out', out])).status).toBe(0);
    expect(batches).toEqual([2, 1]);
    expect(paths[0]).toBe('/models/churn/predict');
    expect(readFileSync(out, 'utf8').split('\n')).toEqual([
      'name,size,prediction,confidence,model_version,prediction_id',
      '"a, b",1,"a, b",0.75,3,id',
      '"say ""x""",2,"say ""x""",0.75,3,id',
      'plain,3,plain,0.75,3,id',
      '',
    ]);
    const printed = await runCapturedCli(argv);
    expect(printed.stdout).toBe(readFileSync(out, 'utf8'));
    const { json } = await runCapturedCli([...argv, '--json']);
    expect(json).toMatchObject({ rows: 3, versions: ['3'] });
    expect(json.predictions).toHaveLength(3);
  });

  it('writes JSON lines, and takes one row and one version', async () => {
    const { url, paths } = await echoing();
    const out = join(tempDir(), 'out.jsonl');
    await runCapturedCli(['predict', 'churn/7', writeCsv('name\na\nb\n'), '--serve-url', url, '--out', out]);
    expect(paths).toEqual(['/models/churn/versions/7/predict']);
    expect(
      readFileSync(out, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).prediction),
    ).toEqual(['a', 'b']);
    const one = await runCapturedCli(['predict', 'churn', '--row', '{"name":"x"}', '--serve-url', url]);
    expect(one.stdout).toBe('x (confidence 0.750), by version 3\n');
  });

  it('says where in the file a refused row is, and what is wrong with the call', async () => {
    const { url } = await echoing();
    const file = writeCsv('name\na\nb\nbad\n');
    const refused = await runCapturedCli(['predict', 'churn', file, '--serve-url', url, '--batch', '2']);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('row 0: no (rows are counted from row 2 of the file)');
    const usage = async (...argv: string[]) =>
      (await runCapturedCli(['predict', ...argv, '--serve-url', url])).status;
    expect(await usage('churn')).toBe(2);
    expect(await usage('churn', file, '--row', '{}')).toBe(2);
    expect(await usage('churn', '--row', '{')).toBe(2);
    expect(await usage('churn', file, '--out', 'x.xls')).toBe(2);
    expect(await usage('churn@staging', file)).toBe(2);
    expect(await usage('a/b/c', file)).toBe(2);
  });

  it('leaves the file of before where the rows are refused, and nothing half written', async () => {
    const { url } = await echoing();
    const file = writeCsv('name\na\nb\nbad\n');
    const folder = tempDir();
    const out = join(folder, 'scores.csv');
    writeFileSync(out, 'of yesterday');
    const argv = ['predict', 'churn', file, '--serve-url', url, '--batch', '2', '--out', out];
    expect((await runCapturedCli(argv)).status).toBe(1);
    expect(readFileSync(out, 'utf8')).toBe('of yesterday');
    expect(readdirSync(folder)).toEqual(['scores.csv']);
  });

  it('writes values that JSON and CSV lack', () => {
    expect(toJsonRow({ big: 5n, at: new Date(0), none: null })).toEqual({
      big: 5,
      at: '1970-01-01T00:00:00.000Z',
      none: null,
    });
    expect([null, undefined, true, 1.5, 'a\nb'].map(csvCell)).toEqual(['', '', 'true', '1.5', '"a\nb"']);
  });
});
