import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { FEATURE_FUNCTIONS, FEATURE_OPERATORS } from '../src/features/index.ts';

const INTRODUCTION = `# Features

<!-- Made by \`npm run reference\` from the tables that the language is made of. Do not edit. -->

A feature is a column that is computed from other columns of the same row: \`features: { hour: 'hour(date)' }\` in a
project file, \`--feature 'hour=hour(date)'\` of \`tidemill train\`. Its expression becomes SQL for training and a part of
the model for serving; both give the same answers, and every training compares them row by row. A model takes the raw
columns, and computes its features by itself, whoever serves it.

- A column is named as the data name it, in double quotes where its name is no word: \`"departure time"\`. Text stands in
  single quotes: \`'LAX'\`; a quote inside is written twice.
- A feature may use features that stand before it.
- A feature gives a number, a text or true/false (which a model reads as 1 and 0). A date by itself is none: take a part
  of it.
- Numbers are computed in float64, and rounded to float32 at the end, which is what models read. A result that is not a
  finite number, such as 1 / 0 or log(-1), is missing, and so is one that float32 cannot hold.
- What is missing stays missing: arithmetic, comparisons and conditions over a missing value are missing themselves.
  \`coalesce\` and \`is missing\` are for what should be said instead.
- Dates are milliseconds in UTC.
- A column that only features should see is put into \`ignore\`: it stays an input of the model then, and is no feature
  by itself. A feature cannot be made of columns that the target is made of.

An expression has at most 2,000 characters and 300 operations, nested at most 40 deep.
`;

/** The page docs/reference/features.md: every function and operator of the expression language. */
export function renderFeaturesReference(): string {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const functions = FEATURE_FUNCTIONS.map(
    ({ usage, takes, gives, doc }) => `| \`${cell(usage)}\` | ${takes} | ${gives} | ${cell(doc)} |`,
  );
  const operators = FEATURE_OPERATORS.map(({ usage, doc }) => `| \`${cell(usage)}\` | ${cell(doc)} |`);
  return [
    INTRODUCTION,
    '## Functions\n',
    '| function | takes | gives | |',
    '|---|---|---|---|',
    ...functions,
    '\n## Operators\n',
    '| operator | |',
    '|---|---|',
    ...operators,
    '',
  ].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const page = fileURLToPath(new URL('../docs/reference/features.md', import.meta.url));
  writeFileSync(page, renderFeaturesReference());
  process.stdout.write(`wrote ${page}\n`);
}
