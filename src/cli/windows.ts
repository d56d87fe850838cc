import type { Command } from 'commander';
import { controlPlane } from './http/http-client.ts';
import type { Act } from './terminal/act.ts';
import { parseCount, withExamples, withUrl } from './terminal/options.ts';
import { formatTime, type Terminal } from './terminal/terminal.ts';
import { noteUntested, type Untested } from './terminal/untested.ts';

interface WireTest {
  column: string;
  aspect: string;
  p: number;
  psi: number;
  words?: string;
}

interface WireSegment {
  column: string;
  value: string;
  rows: number;
  share: number;
  reference_share?: number;
  against: 'segment' | 'reference';
  tests: WireTest[];
}

interface WindowList {
  windows: WireWindow[];
  has_older?: boolean;
  untested?: Untested;
}

interface WireWindow {
  from: number;
  to: number;
  version: string;
  rows: number;
  late_rows: number;
  state: string;
  note?: string;
  tests?: WireTest[];
  segments?: WireSegment[];
  performance?: {
    state: string;
    metric: string;
    value?: number;
    coverage?: number;
    p?: number;
    reference?: { mean: number; sd: number; windows: number };
    note?: string;
  };
}

export function configureWindows(command: Command, act: Act): void {
  command
    .argument('<model>', 'the model')
    .option('--limit <count>', 'at most so many', parseCount, 14)
    .option('--version <number>', 'of this version only')
    .option('--by-segment', 'what differs within the values of the columns of monitor.segments')
    .action(
      act(
        async (
          terminal,
          model: string,
          options: { limit?: number; version?: string; bySegment?: boolean; url?: string },
        ) => {
          const answer = await controlPlane(options, terminal.io.env).get<WindowList>(
            `/api/v1/models/${encodeURIComponent(model)}/windows`,
            {
              limit: options.limit ?? 14,
              ...(options.version === undefined ? {} : { version: options.version }),
            },
          );
          terminal.document(answer);
          if (answer.windows.length === 0) {
            terminal.line(
              `No window of ${model} is closed yet: one closes an hour after its day, by event time.`,
            );
          } else if (options.bySegment) showSegments(terminal, model, answer.windows);
          else showWindows(terminal, model, answer.windows);
          if (answer.has_older) {
            terminal.note(`left out: windows older than these ${answer.windows.length}; --limit shows more`);
          }
          if (answer.untested !== undefined) noteUntested(terminal, { model, ...answer.untested });
        },
      ),
    );
  withUrl(command);
  withExamples(command, [
    ['tidemill windows flights', 'what was tested day by day, and how it did'],
    [
      'tidemill windows flights --by-segment',
      'the same within each value of the columns of monitor.segments',
    ],
  ]);
}

const WINDOW_WORDS = [
  "drift: what differs from the training data; @score is the model's own answer (a probability, or its number), @class its class",
  'performance: p is how likely so bad a value is by chance; (reference) is a window that later ones are compared with',
  'until labels come there is drift alone to go by, and it is blind to concept drift: the same rows that end otherwise',
];

function showWindows(terminal: Terminal, model: string, windows: WireWindow[]): void {
  terminal.table(
    ['from', 'to', 'version', 'rows', 'drift', 'performance', 'labels'],
    windows.map((window) => [
      formatTime(window.from),
      formatTime(window.to),
      window.version,
      window.late_rows > 0 ? `${window.rows} + ${window.late_rows} late` : window.rows,
      window.state === 'tested' ? driftOf(window) : window.state,
      performanceOf(window),
      window.performance?.coverage === undefined
        ? undefined
        : `${Math.round(window.performance.coverage * 100)} %`,
    ]),
  );
  for (const line of WINDOW_WORDS) terminal.note(line);
  if (windows.some((window) => window.late_rows > 0))
    terminal.note('late: rows that came after their window was closed; they are in no test');
  noteBaseline(terminal, windows);
  const said = windows[0]?.note;
  if (said !== undefined) terminal.note(`of the newest window: ${said}`);
  if (windows.some(({ segments = [] }) => segments.some(({ tests }) => tests.length > 0)))
    terminal.note(`something differs within a segment: tidemill windows ${model} --by-segment`);
}

/** Each version is compared with its own level: a low one is seen by who looks at it, and by no alarm. */
function noteBaseline(terminal: Terminal, windows: WireWindow[]): void {
  const tested = windows.find(({ performance }) => performance?.reference !== undefined);
  const { metric, reference } = tested?.performance ?? {};
  if (metric === undefined || reference === undefined) return;
  const unit =
    metric === 'roc_auc' || metric === 'accuracy' ? metric : `${metric} as skill (1: perfect, 0: a guesser)`;
  terminal.note(
    `baseline: version ${tested?.version} is compared with ${unit} ${reference.mean.toFixed(3)} ± ${reference.sd.toFixed(3)}, its own ${reference.windows} windows; where that is low already, no alarm says so`,
  );
}

function showSegments(terminal: Terminal, model: string, windows: WireWindow[]): void {
  const rows = windows.flatMap((window) => (window.segments ?? []).map((segment) => ({ window, segment })));
  if (rows.length === 0) {
    terminal.line(
      `No segment of ${model} has been reported: monitor.segments of the project names columns, and a value needs 200 rows in a window.`,
    );
    return;
  }
  terminal.table(
    ['from', 'segment', 'rows', 'share', 'in the reference', 'differs in'],
    rows.map(({ window, segment }) => [
      formatTime(window.from),
      `${segment.column}=${segment.value}`,
      segment.rows,
      percent(segment.share),
      segment.against === 'reference'
        ? 'unknown'
        : segment.reference_share === undefined
          ? undefined
          : percent(segment.reference_share),
      segment.tests.length === 0
        ? 'nothing'
        : segment.tests.map((test) => `${nameOf(test)} (PSI ${test.psi.toFixed(2)})`).join(', '),
    ]),
  );
  terminal.note(
    'each is compared with the same rows of the training data, p corrected for all of them; it raises no alarm',
  );
  if (rows.some(({ segment }) => segment.against === 'reference'))
    terminal.note('unknown: the training data has too few such rows, so that all its rows stand for them');
}

const percent = (share: number) => `${(share * 100).toFixed(1)} %`;

const nameOf = ({ column, aspect }: WireTest) => (aspect === 'values' ? column : `${column} ${aspect}`);

function driftOf({ tests = [] }: WireWindow): string {
  const columns = [...new Set(tests.map(nameOf))];
  return columns.length === 0 ? 'none' : columns.join(', ');
}

function performanceOf({ performance }: WireWindow): string | undefined {
  if (performance === undefined) return undefined;
  const { metric, value, p, state } = performance;
  if (value === undefined) return state;
  return `${metric} ${value.toFixed(3)}${p === undefined ? ` (${state})` : `, p ${p.toPrecision(2)}`}`;
}
