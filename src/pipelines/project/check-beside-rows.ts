import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { checkCron } from '../../jobs/index.ts';
import { ConfigError } from '../../platform/index.ts';
import type { LoadedProject } from './load-project.ts';
import type { ModelProject } from './project-schema.ts';

/** @throws ConfigError */
export function checkSchedule(name: string, { retrain }: Pick<ModelProject, 'retrain'>): void {
  if (retrain?.schedule === undefined) return;
  try {
    checkCron(retrain.schedule, retrain.timeZone);
  } catch (error) {
    throw new ConfigError(
      `models.${name}.retrain.schedule is ${JSON.stringify(retrain.schedule)}: ${(error as Error).message}`,
    );
  }
}

/**
 * Checks what can be told without reading a row: schedules, and that source files are there.
 *
 * @throws ConfigError that tells everything that is wrong, one a line.
 */
export async function checkBesideRows({
  project,
  folder,
  path,
}: Pick<LoadedProject, 'project' | 'folder' | 'path'>): Promise<void> {
  const problems: string[] = [];
  for (const [name, config] of Object.entries(project.models)) {
    try {
      checkSchedule(name, config);
    } catch (error) {
      problems.push(`${path}: ${(error as Error).message}`);
    }
    if (config.data.path === undefined) continue;
    const file = resolve(folder, config.data.path);
    const found = await stat(file).catch(() => undefined);
    if (!found?.isFile())
      problems.push(
        `${path}: models.${name}.data.path is ${JSON.stringify(config.data.path)}: there is no file ${file}`,
      );
  }
  if (problems.length > 0) throw new ConfigError(problems.join('\n'));
}
