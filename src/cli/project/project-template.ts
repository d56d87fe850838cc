import { createRandom } from '../../platform/index.ts';

/** The files of a new project by their paths; `command` is how its reader calls Tidemill. */
export function projectFiles({ command }: { command: string }): Record<string, string> {
  return {
    'tidemill.config.ts': CONFIG,
    'data/customers.csv': makeCustomers(),
    'project.test.ts': writeTest(command),
    '.gitignore': '.tidemill/\nnode_modules/\n',
    'README.md': writeReadme(command),
  };
}

const CONFIG = `import { csv, defineProject, gradientBoosting } from 'tidemill';

// Which customers will leave? The whole loop of a model is in this file.
export default defineProject({
  models: {
    churn: {
      // The rows to begin with. Later ones come from the predictions, when their labels are known.
      data: csv('data/customers.csv', { target: 'churned', id: 'customer_id', time: 'date', ignore: ['date'] }),
      // Columns that are computed from others, alike in training and in serving.
      features: { calls_per_month: 'support_calls / max(tenure_months, 1)' },
      train: gradientBoosting({ trees: 60 }),
      // A new version serves only when it is not worse by more than this on the newest 14 days.
      gate: { metric: 'log_loss', nonInferiority: 0.01, evaluate: '14d' },
      // It gets a quarter of the requests first, for a day or more and until it has answered 20, then all of them.
      rollout: { canary: [25, 100], stepFor: '1d', minRequests: 20 },
      // What it answers is compared with what it learned from, day by day.
      monitor: { drift: 'robust', labels: { delay: '1d' } },
      // Trained again on Mondays at 3, when the data has drifted, and when it predicts worse than it did.
      retrain: { schedule: '0 3 * * 1', on: ['drift', 'performance'], cooldown: '6h', window: '90d' },
    },
  },
});
`;

const PLANS = ['basic', 'plus', 'pro'] as const;
const REGIONS = ['north', 'south', 'east', 'west'] as const;
const DAYS = 90;
const ROWS_A_DAY = 40;
const FIRST_DAY = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;

/** Customers of an invented company: who calls support often and pays monthly for the small plan leaves. */
function makeCustomers(): string {
  const random = createRandom(1);
  const lines = ['customer_id,date,plan,region,tenure_months,monthly_spend,support_calls,churned'];
  for (let row = 0; row < DAYS * ROWS_A_DAY; row++) {
    const day = Math.floor(row / ROWS_A_DAY);
    const date = new Date(FIRST_DAY + day * DAY_MS).toISOString().slice(0, 10);
    const plan = Math.min(2, Math.floor(random() ** 1.4 * 3));
    const tenure = Math.floor(-24 * Math.log(1 - random() * 0.98));
    const calls = Math.floor(random() ** 3 * 9);
    const spend = 12 + plan * 14 + random() * 9;
    const score = -1.4 - 0.05 * tenure + 0.55 * calls - 0.5 * plan + (random() - 0.5) * 2;
    const churned = random() < 1 / (1 + Math.exp(-score));
    const cells = [
      `c${String(100_000 + row)}`,
      date,
      PLANS[plan],
      REGIONS[Math.floor(random() * REGIONS.length)],
      tenure,
      spend.toFixed(2),
      calls,
      churned,
    ];
    lines.push(cells.join(','));
  }
  return `${lines.join('\n')}\n`;
}

const writeTest = (command: string) => `import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

// How Tidemill is called; TIDEMILL says otherwise.
const [command, ...first] = process.env.TIDEMILL?.split(' ') ?? ${JSON.stringify(wordsOf(command))};

function tidemill(...argv: string[]): any {
  const output = execFileSync(command!, [...first, ...argv, '--json'], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(output);
}

test('the project file is right', () => {
  assert.deepEqual(tidemill('apply', '--dry-run').models, ['churn']);
});

test('the model tells who leaves better than a guess, on days that it has not seen', () => {
  const { policies } = tidemill('backtest', 'churn', '--policies', 'never', '--hold-out', '2w');
  const [{ holdout }] = policies;
  assert.ok(holdout.roc_auc > 0.7, \`the AUC is \${holdout.roc_auc}\`);
});
`;

/** A command line as its words; one in quotes may hold spaces. */
function wordsOf(command: string): string[] {
  return (command.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ''));
}

const writeReadme = (command: string) => `# Churn

Which customers will leave? A model that is trained, served, watched and trained again by [Tidemill](https://www.npmjs.com/package/tidemill).
Everything that decides is in \`tidemill.config.ts\`. The customers in \`data/\` are invented.

    ${command} up                    # trains the first version at once, and serves it
    ${command} models churn          # its versions, and which one serves
    ${command} explain churn         # every threshold that decides about it
    ${command} retrain churn --wait  # trains it again, now

Ask it:

    curl http://127.0.0.1:7071/predict -H 'content-type: application/json' -d '{"features": {
      "plan": "basic", "region": "north", "tenure_months": 3, "monthly_spend": 14.5, "support_calls": 6}}'

Tell it later what came true, with the \`prediction_id\` of the answer:

    curl http://127.0.0.1:7071/models/churn/feedback -H 'content-type: application/json' \\
      -d '{"prediction_id": "…", "label": true}'

Choose thresholds before you go live: \`${command} backtest\` replays the table as if it came day by day, and shows
what each way of retraining would have given.

\`node --test\` runs the project's test; it needs Node.js 22.18 or newer, an older one finds no test.
`;
