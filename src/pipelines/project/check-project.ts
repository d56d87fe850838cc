import { ConfigError, nearestName, parseDuration } from '../../platform/index.ts';
import { descriptionOf, findUnknownKeys, schemaAt } from './find-unknown-keys.ts';
import { nearestChoice, plainIssue, type SchemaIssue } from './plain-issue.ts';
import {
  MODEL_NAME,
  MODEL_NAME_RIGHT,
  NOT_BUILT,
  type Project,
  type ProjectInput,
  projectSchema,
} from './project-schema.ts';

/**
 * Checks a project as it was written and fills in the defaults.
 *
 * @param file how messages call the file
 * @throws ConfigError that tells everything that is wrong, one a line: file, path, value and what would be right.
 */
export function checkProject(written: unknown, file: string): Project {
  const problems = findProblems(written);
  if (problems.length > 0) throw new ConfigError(problems.map((each) => `${file}: ${each}`).join('\n'));
  return projectSchema.parse(written);
}

/** The project as it was written, after `checkProject`: plain JSON, defaults left out. */
export function toPlainProject(written: unknown): ProjectInput {
  return JSON.parse(JSON.stringify(written)) as ProjectInput;
}

/** Keys whose schemas are other slices', which describe what a value means and say in the message what is wrong. */
const POLICIES = ['gate', 'rollout', 'monitor'];

const EMPTY =
  'the project is empty: it must be an object such as { models: { churn: { data: …, train: … } } }';

function findProblems(written: unknown): string[] {
  const unknown = findUnknownKeys(projectSchema, written);
  const problems = unknown.map(({ path, known }) => describeUnknown(path, known));
  // A trainer that is not built has no algorithm: one message about it is enough.
  const said = unknown
    .filter((key) => key.path.length > 3 && unbuiltAt(key.path) !== undefined)
    .map((key) => pathText(key.path.slice(0, -1)));
  const result = projectSchema.safeParse(written);
  for (const issue of result.error?.issues ?? []) {
    if (issue.code === 'unrecognized_keys') continue; // Said already, with the nearest name.
    const path = pathText(issue.path);
    if (said.some((each) => path === each || path.startsWith(`${each}.`))) continue;
    problems.push(describeIssue(written, issue.path, issue));
  }
  const models = (written as { models?: unknown } | undefined)?.models;
  if (typeof models === 'object' && models !== null && !Array.isArray(models)) {
    for (const name of Object.keys(models)) {
      if (!MODEL_NAME.test(name))
        problems.push(`models.${name} is no name of a model: it must be ${MODEL_NAME_RIGHT}`);
    }
  }
  if (result.success && problems.length === 0) problems.push(...findContradictions(result.data));
  return problems;
}

function describeUnknown(path: (string | number)[], known: string[]): string {
  const where = pathText(path);
  const unbuilt = unbuiltAt(path);
  if (unbuilt !== undefined) return `${where} is not built yet: ${unbuilt} comes with a later version`;
  const nearest = nearestName(String(path.at(-1)), known);
  const names = known.map((name) => `'${name}'`).join(', ');
  return nearest === undefined
    ? `${where} is not known; here may be ${names}`
    : `${where} is not known; did you mean '${nearest}'? Here may be ${names}`;
}

const unbuiltAt = (path: (string | number)[]): string | undefined =>
  NOT_BUILT[path.map((part, index) => (index === 1 ? '*' : part)).join('.')];

function describeIssue(written: unknown, path: readonly PropertyKey[], issue: SchemaIssue): string {
  if (path.length === 0 && (written === null || written === undefined)) return EMPTY;
  let value = written;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
  const right = descriptionOf(schemaAt(projectSchema, path, written));
  const near = nearestChoice(issue, value);
  const where = path.length === 0 ? 'the project' : pathText(path);
  const wanted =
    issue.code === 'custom' && !issue.message.startsWith('Invalid')
      ? issue.message
      : right === undefined
        ? plainIssue(issue, value)
        : POLICIES.includes(String(path[2]))
          ? `${plainIssue(issue, value)} (${right})`
          : `it must be ${right}${near === undefined ? '' : `; did you mean '${near}'?`}`;
  return value === undefined ? `${where} is missing: ${wanted}` : `${where} is ${shown(value)}: ${wanted}`;
}

/** What is right by itself but not together. */
function findContradictions(project: Project): string[] {
  return Object.entries(project.models).flatMap(([name, model]) => {
    const problems: string[] = [];
    if (model.retrain?.window !== undefined && model.data.time === undefined) {
      problems.push(
        `models.${name}.retrain.window is ${shown(model.retrain.window)}, but nothing says when a row happened: name that column in models.${name}.data.time`,
      );
    }
    if (model.retrain?.window !== undefined && parseDuration(model.retrain.window) === 0) {
      problems.push(
        `models.${name}.retrain.window is ${shown(model.retrain.window)}, which holds no rows: it must be longer, such as '28d', or left out to learn from all`,
      );
    }
    return problems;
  });
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`,
    )
    .join('');
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
