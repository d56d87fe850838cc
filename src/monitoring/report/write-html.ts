import { countOf, percent } from './check-quality.ts';
import { drawHistogram, escapeHtml, showNumber } from './draw-histogram.ts';
import type { ColumnReport, ColumnSummary, DriftReport } from './report.ts';
import { REPORT_STYLE } from './report-style.ts';

const KIND: Record<ColumnReport['kind'], string> = {
  number: 'number',
  boolean: 'yes or no',
  text: 'text',
  date: 'date',
};
const STATUS: Record<ColumnReport['status'], string> = {
  drifted: '▲ drifted',
  same: '● same',
  'not tested': '○ not tested',
};
const ASPECT = { values: 'its values', missing: 'missing values', unseen: 'values that the reference lacks' };

/** The report as one file that needs nothing else: no script, no font, no image from outside. */
export function writeHtml(report: DriftReport): string {
  const { reference, current, drift, quality } = report;
  const title = `${current.file} against ${reference.file}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Drift: ${escapeHtml(title)}</title>
<style>${REPORT_STYLE}</style>
</head>
<body>
<header>
<h1>${escapeHtml(title)}</h1>
<p class="verdict">${verdict(report)}</p>
</header>
<main>
<section aria-labelledby="files">
<h2 id="files">What was compared</h2>
<table>
<thead><tr><th scope="col">File</th><th scope="col" class="n">Rows</th><th scope="col" class="n">Columns</th><th scope="col">Role</th></tr></thead>
<tbody>
<tr><th scope="row">${escapeHtml(reference.file)}</th><td class="n">${grouped(reference.rows)}</td><td class="n">${grouped(reference.columns)}</td><td>reference, in ${countOf(reference.windows, 'window')} (${reference.windows_by === 'day' ? 'its days' : 'random chunks'})</td></tr>
<tr><th scope="row">${escapeHtml(current.file)}</th><td class="n">${grouped(current.rows)}</td><td class="n">${grouped(current.columns)}</td><td>current</td></tr>
</tbody>
</table>
<p class="note">A column has drifted when it differs from the reference by more than chance and the reference's own windows explain.
${countOf(drift.tests, 'test')} ${drift.tests === 1 ? 'was' : 'were'} made; of those that call a column drifted, at most ${percent(drift.false_discovery_rate)} are expected to be wrong.
<a href="#words">What the words and numbers mean</a></p>
${report.notes.length === 0 ? '' : `<ul class="note">${report.notes.map((note) => `<li>${escapeHtml(note)}</li>`).join('')}</ul>`}
</section>
<section aria-labelledby="columns">
<h2 id="columns">Columns</h2>
${columnTable(report.columns)}
</section>
<section aria-labelledby="quality">
<h2 id="quality">Quality: ${quality.passed ? 'all checks pass' : `${quality.failed} of ${quality.checks.length} checks fail`}</h2>
${qualityTable(report)}
</section>
<section aria-labelledby="details" class="details">
<h2 id="details">Column by column</h2>
<p class="key" aria-hidden="true"><span class="swatch ref"></span> reference (filled area, upper bar) <span class="swatch cur"></span> current (line, lower bar)</p>
<div class="cards">
${report.columns.map(card).join('\n')}
</div>
</section>
${glossary()}
</main>
</body>
</html>
`;
}

function verdict({ drift, quality }: DriftReport): string {
  const count = drift.columns.length;
  const drifted =
    count === 0
      ? '● No column has drifted.'
      : `▲ ${count} ${count === 1 ? 'column has' : 'columns have'} drifted: ${escapeHtml(drift.columns.slice(0, 8).join(', '))}${count > 8 ? ' …' : ''}.`;
  const checks = quality.passed
    ? 'All quality checks pass.'
    : `${quality.failed} quality ${quality.failed === 1 ? 'check fails' : 'checks fail'}.`;
  return `${drifted} ${checks}`;
}

function columnTable(columns: ColumnReport[]): string {
  const rows = columns.map((column) => {
    const values = column.tests.find(({ aspect }) => aspect === 'values');
    const smallest = column.tests.toSorted((a, b) => a.p - b.p)[0];
    const missing = [column.reference, column.current].map((side) =>
      side === undefined || side.rows === 0 ? '' : percent(side.missing / side.rows),
    );
    const what = column.tests.filter(({ drifted }) => drifted).map(({ aspect }) => ASPECT[aspect]);
    const said =
      column.note ?? [what.join(', '), column.words ?? ''].filter((text) => text !== '').join(': ');
    return `<tr class="${column.status.replace(' ', '-')}"><th scope="row"><a href="#${anchor(column.name)}">${escapeHtml(column.name)}</a></th><td>${KIND[column.kind]}</td><td class="status">${STATUS[column.status]}</td><td class="n">${smallest === undefined ? '' : showP(smallest.p)}</td><td class="n">${values === undefined ? '' : values.psi.toFixed(3)}</td><td class="n">${values?.ks === undefined ? '' : values.ks.toFixed(3)}</td><td class="n">${missing[0]}</td><td class="n">${missing[1]}</td><td>${withArrows(escapeHtml(said))}</td></tr>`;
  });
  return `<div class="wide"><table>
<thead><tr><th scope="col">Column</th><th scope="col">Type</th><th scope="col">Verdict</th><th scope="col" class="n">Smallest p</th><th scope="col" class="n">PSI</th><th scope="col" class="n">KS</th><th scope="col" class="n">Missing, reference</th><th scope="col" class="n">Missing, current</th><th scope="col">What moved (reference → current)</th></tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table></div>`;
}

function qualityTable({ quality }: DriftReport): string {
  const failed = quality.checks.filter(({ passed }) => !passed);
  const passed = quality.checks.filter((check) => check.passed);
  const table = (checks: typeof quality.checks) => `<div class="wide"><table>
<thead><tr><th scope="col">Check</th><th scope="col">Column</th><th scope="col">Result</th><th scope="col">Found</th></tr></thead>
<tbody>
${checks
  .map(
    (check) =>
      `<tr class="${check.passed ? '' : 'drifted'}"><th scope="row">${check.check}</th><td>${escapeHtml(check.column ?? '')}</td><td class="status">${check.passed ? '● passes' : '▲ fails'}</td><td>${escapeHtml(check.detail)}</td></tr>`,
  )
  .join('\n')}
</tbody>
</table></div>`;
  return `${failed.length === 0 ? '' : table(failed)}
<details><summary>${passed.length} checks that pass</summary>${table(passed)}</details>`;
}

function card(column: ColumnReport): string {
  const chart =
    column.histogram === undefined
      ? ''
      : `<figure>${drawHistogram(column.name, column.histogram)}</figure>
<details><summary>As a table</summary>${histogramTable(column.histogram)}</details>`;
  return `<article id="${anchor(column.name)}" class="card ${column.status.replace(' ', '-')}">
<h3>${escapeHtml(column.name)} <span class="status">${STATUS[column.status]}</span></h3>
${column.note === undefined ? '' : `<p class="note">${escapeHtml(column.note)}</p>`}
${chart}
${summaryTable(column)}
${testTable(column)}
</article>`;
}

function summaryTable({ kind, reference: before, current: now }: ColumnReport): string {
  const show = (side: ColumnSummary | undefined, key: (typeof keys)[number]) => {
    const value = side?.[key];
    if (key === 'distinct' && side?.distinct_is_estimate) return `about ${showNumber(value)}`;
    return kind === 'date' && value !== undefined
      ? new Date(value).toISOString().slice(0, 16).replace('T', ' ')
      : showNumber(value);
  };
  const keys = ['distinct', 'min', 'max', 'mean', 'sd'] as const;
  const names = {
    distinct: 'different values',
    min: 'smallest',
    max: 'largest',
    mean: 'mean',
    sd: 'standard deviation',
  };
  const rows = keys
    .filter((key) => before?.[key] !== undefined || now?.[key] !== undefined)
    .map(
      (key) =>
        `<tr><th scope="row">${names[key]}</th><td class="n">${show(before, key)}</td><td class="n">${show(now, key)}</td></tr>`,
    );
  const missing = [before, now].map((side) =>
    side === undefined ? '' : percent(side.missing / Math.max(1, side.rows)),
  );
  if (before || now)
    rows.push(
      `<tr><th scope="row">missing</th><td class="n">${missing[0]}</td><td class="n">${missing[1]}</td></tr>`,
    );
  if (rows.length === 0) return '';
  return `<table class="small"><thead><tr><th scope="col">its values</th><th scope="col" class="n">reference</th><th scope="col" class="n">current</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

function testTable({ tests }: ColumnReport): string {
  if (tests.length === 0) return '';
  const rows = tests.map(
    ({ aspect, p, psi, rate, reference_rate: before, drifted }) =>
      `<tr class="${drifted ? 'drifted' : ''}"><th scope="row">${ASPECT[aspect]}</th><td class="n">${showP(p)}</td><td class="n">${rate === undefined || before === undefined ? `PSI ${psi.toFixed(3)}` : `${percent(before)} → ${percent(rate)}`}</td><td class="status">${STATUS[drifted ? 'drifted' : 'same']}</td></tr>`,
  );
  return `<table class="small"><thead><tr><th scope="col">test of</th><th scope="col" class="n">p</th><th scope="col" class="n">found</th><th scope="col">verdict</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

function histogramTable(histogram: NonNullable<ColumnReport['histogram']>): string {
  const labels =
    histogram.kind === 'category'
      ? histogram.labels
      : histogram.reference.map(
          (_, i) => `${showNumber(histogram.edges[i])} to ${showNumber(histogram.edges[i + 1])}`,
        );
  return `<table class="small"><thead><tr><th scope="col">value</th><th scope="col" class="n">reference</th><th scope="col" class="n">current</th></tr></thead><tbody>${labels
    .map(
      (label, i) =>
        `<tr><th scope="row">${escapeHtml(label)}</th><td class="n">${percent(histogram.reference[i] ?? 0)}</td><td class="n">${percent(histogram.current[i] ?? 0)}</td></tr>`,
    )
    .join('')}</tbody></table>`;
}

/** What a reader who knows no statistics needs to know. */
const WORDS: [string, string][] = [
  ['Reference', 'the rows that show how the data should be; the current rows are judged by them.'],
  [
    'Window',
    'a day of the reference, or a random part of it. How much its windows differ from each other is what a difference has to exceed.',
  ],
  [
    'p',
    'how often rows of the same kind would differ this much. 0.5 is nothing, 0.001 is rare. The smallest p of a column counts.',
  ],
  [
    'Drifted',
    'its p is below the line that keeps the wrong ones among all drifted columns at the stated share (Benjamini and Hochberg). The test is chi-square on ten bins or on the categories, with room for the differences between windows.',
  ],
  [
    'PSI',
    'population stability index, the size of a change: below 0.1 small, 0.1 to 0.25 worth a look, above 0.25 large. 0 is no change. It does not decide here.',
  ],
  [
    'KS',
    'Kolmogorov-Smirnov distance, from 0 to 1: the largest difference between the shares of rows below any value. It does not decide here.',
  ],
  ['Missing', 'no value, an empty text, NaN, or an infinite number.'],
  [
    'Values that the reference lacks',
    'categories that it never had, or numbers below its smallest or above its largest.',
  ],
  ['Quality check', 'a statement that the reference makes one expect; it needs no statistics.'],
];

const glossary = (): string => `<section aria-labelledby="words">
<h2 id="words">What the words and numbers mean</h2>
<dl>
${WORDS.map(([word, meaning]) => `<dt>${word}</dt><dd>${meaning}</dd>`).join('\n')}
</dl>
</section>`;

const grouped = (count: number): string => count.toLocaleString('en-US');

const withArrows = (html: string): string => html.replaceAll('-&gt;', '→');

function showP(p: number): string {
  if (p <= 1e-12) return '&lt; 1e-12';
  return p >= 0.001 ? p.toFixed(3) : p.toExponential(1);
}

/** An id that no other column has: what is not a letter or digit is told by its code. */
function anchor(name: string): string {
  return `column-${name.replace(/[^A-Za-z0-9]/g, (char) => `-${char.codePointAt(0)?.toString(16)}-`)}`;
}
