import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { loadProject, PROJECT_FILES } from '../index.ts';

const door = new URL('../../index.ts', import.meta.url);

const TYPED = `import { csv, defineProject, gradientBoosting } from 'tidemill';
type Trees = number;
const trees: Trees = 200;
export default defineProject({
  models: {
    churn: {
      data: csv('data/churn.csv', { target: 'churned', id: 'customer_id', time: 'month' }),
      features: { hour: 'hour(month)' },
      train: gradientBoosting({ trees, learningRate: 0.05 }),
      retrain: { schedule: '0 3 * * 1', on: ['drift', 'newData'], cooldown: '6h', window: '28d' },
    },
  },
});
`;

const YAML = `models:
  churn:
    data: { format: csv, path: data/churn.csv, target: churned, id: customer_id, time: month }
    features: { hour: hour(month) }
    train: { algorithm: gradient-boosting, trees: 200, learningRate: 0.05 }
    retrain: { schedule: 0 3 * * 1, on: [drift, newData], cooldown: 6h, window: 28d }
`;

function folderWith(files: Record<string, string>): string {
  const folder = tempDir();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

/** A process of its own, as users start it: the test runner resolves imports by itself. */
function loadElsewhere(path: string): any {
  const script = `
    import { loadProject } from ${JSON.stringify(new URL('../index.ts', import.meta.url).href)};
    const loaded = await loadProject(${JSON.stringify(path)}, { door: new URL(${JSON.stringify(door.href)}) })
      .catch((error) => ({ error: error.name + ': ' + error.message }));
    console.log(JSON.stringify(loaded));`;
  return JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' }),
  );
}

it('loads the same project from TypeScript and YAML and JSON, far from any node_modules', async () => {
  const typed = loadElsewhere(folderWith({ 'tidemill.config.ts': TYPED }));
  const yaml = await loadProject(folderWith({ 'tidemill.config.yaml': YAML }), { door });
  const json = await loadProject(folderWith({ 'tidemill.config.json': JSON.stringify(typed.written) }), {
    door,
  });
  expect(typed.written.models.churn.train).toEqual({
    algorithm: 'gradient-boosting',
    trees: 200,
    learningRate: 0.05,
  });
  expect(yaml?.written).toEqual(typed.written);
  expect(json?.project).toEqual(typed.project);
  expect(yaml?.project.models['churn']?.retrain).toMatchObject({ timeZone: 'UTC', cooldown: '6h' });
});

it('loads a project of code whatever its file is called', () => {
  const staging = loadElsewhere(join(folderWith({ 'staging.ts': TYPED }), 'staging.ts'));
  expect(staging.error).toBeUndefined();
  expect(Object.keys(staging.written.models)).toEqual(['churn']);
});

it('answers undefined where a folder has no project file', async () => {
  expect(await loadProject(tempDir(), { door })).toBeUndefined();
});

it('refuses two project files in one folder, naming both', async () => {
  const folder = folderWith({ 'tidemill.config.ts': TYPED, 'tidemill.config.yaml': YAML });
  await expect(loadProject(folder, { door })).rejects.toThrow(
    /tidemill\.config\.ts and tidemill\.config\.yaml: keep one/,
  );
});

it('says of a file that cannot be read why, by its path', async () => {
  const folder = folderWith({ 'tidemill.config.json': '{"models": ' });
  await expect(loadProject(folder, { door })).rejects.toThrow(
    /tidemill\.config\.json cannot be read: .*JSON/,
  );
  const yaml = folderWith({ 'tidemill.config.yml': 'models: [1, 2' });
  await expect(loadProject(yaml, { door })).rejects.toThrow(/tidemill\.config\.yml cannot be read: /);
});

it('says what a project of code lacks', () => {
  const broken = (text: string) => loadElsewhere(folderWith({ 'tidemill.config.ts': text })).error;
  expect(broken('export const project = {};')).toMatch(
    /no default export: write export default defineProject/,
  );
  expect(broken("import { command } from 'tidemill';\nexport default {};")).toMatch(
    /imports 'command', which is not built yet or misspelt: tidemill has defineProject/,
  );
  expect(broken('throw null;')).toMatch(/tidemill\.config\.ts cannot be loaded: null$/m);
  expect(broken('export default {')).toMatch(/^ConfigError: .*tidemill\.config\.ts cannot be loaded: /);
});

it('knows seven names of project files', () => {
  expect(PROJECT_FILES).toHaveLength(7);
});
