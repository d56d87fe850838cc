/** An issue of a failed Zod parse. */
export interface Issue {
  code?: string;
  path: PropertyKey[];
  message: string;
  input?: unknown;
  keys?: string[];
  expected?: string;
  origin?: string;
  minimum?: number | bigint;
  maximum?: number | bigint;
  inclusive?: boolean;
  values?: unknown[];
  divisor?: number;
  pattern?: string;
}

/** Zod's own words; a schema may have better ones. */
const OWN_WORDS = /^(Invalid (input|option|string|number|key|element)|Too (small|big))\b/;

const KINDS: Record<string, string> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  bigint: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
  null: 'null',
  nan: 'a number',
};

/** What would be right, in words that need no knowledge of the code: `it must be a whole number`. */
export function plainIssue(issue: Issue): string {
  if (!OWN_WORDS.test(issue.message)) return issue.message;
  const right = describeRight(issue);
  return right === undefined ? issue.message : `it must ${right}`;
}

function describeRight(issue: Issue): string | undefined {
  switch (issue.code ?? '') {
    case 'invalid_type': {
      const kind = KINDS[issue.expected ?? ''];
      return kind && `be ${kind}`;
    }
    case 'invalid_value':
      return issue.values && `be ${oneOf(issue.values)}`;
    case 'too_small':
      return issue.minimum === undefined ? undefined : least(issue);
    case 'too_big':
      return issue.maximum === undefined ? undefined : most(issue);
    case 'invalid_format':
      return issue.pattern && `look like ${issue.pattern}`;
    case 'not_multiple_of':
      return `be a multiple of ${issue.divisor}`;
    default:
      return undefined;
  }
}

function oneOf(values: readonly unknown[]): string {
  const told = values.map((value) => JSON.stringify(value));
  return told.length === 1 ? told[0]! : `one of ${told.join(', ')}`;
}

function least({ origin, minimum, inclusive }: Issue): string {
  const bound = `${inclusive === false ? 'more than' : 'at least'} ${minimum}`;
  if (origin === 'string') return Number(minimum) === 1 ? 'not be empty' : `have ${bound} characters`;
  if (origin === 'array' || origin === 'set') return `have ${bound} ${entries(minimum)}`;
  return `be ${bound}`;
}

function most({ origin, maximum, inclusive }: Issue): string {
  const bound = `${inclusive === false ? 'less than' : 'at most'} ${maximum}`;
  if (origin === 'string') return `have ${bound} characters`;
  if (origin === 'array' || origin === 'set') return `have ${bound} ${entries(maximum)}`;
  return `be ${bound}`;
}

const entries = (count: number | bigint | undefined): string => (Number(count) === 1 ? 'entry' : 'entries');
