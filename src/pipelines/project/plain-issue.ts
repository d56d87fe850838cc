import { nearestName } from '../../platform/index.ts';

/** What is used of an issue of Zod. */
export interface SchemaIssue {
  code?: string | undefined;
  message: string;
  expected?: unknown;
  values?: readonly unknown[];
  options?: readonly unknown[];
  origin?: unknown;
  minimum?: unknown;
  maximum?: unknown;
  inclusive?: unknown;
}

const KINDS: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

/** An issue in plain words, `it must be …`; what has no plain words yet stays as the schema says it. */
export function plainIssue(issue: SchemaIssue, value: unknown): string {
  const choices = choicesOf(issue);
  if (choices.length > 0) {
    const names = choices.map((choice) => (typeof choice === 'string' ? `'${choice}'` : String(choice)));
    const right = names.length === 1 ? `it must be ${names[0]}` : `it must be one of ${names.join(', ')}`;
    const near = nearestChoice(issue, value);
    return near === undefined ? right : `${right}; did you mean '${near}'?`;
  }
  const kind = issue.code === 'invalid_type' ? KINDS[String(issue.expected)] : undefined;
  if (kind !== undefined) return `it must be ${kind}`;
  if (issue.origin === 'string' && issue.code === 'too_small' && issue.minimum === 1)
    return 'it must not be empty';
  if (issue.origin === 'number' || issue.origin === 'int') {
    if (issue.code === 'too_small')
      return `it must be ${issue.inclusive ? 'at least' : 'more than'} ${String(issue.minimum)}`;
    if (issue.code === 'too_big')
      return `it must be ${issue.inclusive ? 'at most' : 'less than'} ${String(issue.maximum)}`;
  }
  return issue.message;
}

/** The choice that a misspelt one most likely was meant to be. */
export function nearestChoice(issue: SchemaIssue, value: unknown): string | undefined {
  const names = choicesOf(issue).filter((choice) => typeof choice === 'string');
  return typeof value === 'string' ? nearestName(value, names) : undefined;
}

function choicesOf({ code, values, options }: SchemaIssue): readonly unknown[] {
  if (code === 'invalid_value') return values ?? [];
  return code === 'invalid_union' ? (options ?? []) : [];
}
