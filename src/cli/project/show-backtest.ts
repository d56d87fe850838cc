import type { BacktestResult } from '../../pipelines/index.ts';
import { formatNumber, type Terminal } from '../terminal/terminal.ts';

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** The result as one JSON document, times as ISO texts. */
export function backtestDocument(result: BacktestResult, seconds: number) {
  return {
    model: result.model,
    rows: result.rows,
    from: dayOf(result.from),
    to: dayOf(result.to),
    start: dayOf(result.startAt),
    ...(result.holdoutFrom !== undefined && { holdout_from: dayOf(result.holdoutFrom) }),
    policies: result.policies.map(({ weeks, events, heldBack, notWatched, ...policy }) => ({
      ...policy,
      held_back: heldBack,
      not_watched: notWatched,
      weeks: weeks.map(({ week, rows, metrics }) => ({ week: dayOf(week), rows, ...metrics })),
      events: events.map(({ at, ...event }) => ({ at: new Date(at).toISOString(), ...event })),
    })),
    not_replayed: result.notReplayed,
    trainings: result.trainings.done,
    trainings_shared: result.trainings.shared,
    seconds: Math.round(seconds * 10) / 10,
  };
}

/** Prints the metric by week, what each policy reached and did, and what the replay leaves out. */
export function showBacktest(terminal: Terminal, result: BacktestResult, isDetailed: boolean): void {
  const { colors } = terminal;
  const { policies, holdoutFrom } = result;
  const metric = ['roc_auc', 'log_loss', 'rmse'].find((each) =>
    policies.some(({ before }) => before[each] !== undefined),
  );
  if (metric === undefined) return;
  const isMoreBetter = metric === 'roc_auc';
  terminal.line(
    `${result.model}: ${result.rows} rows, the first model at ${dayOf(result.startAt)}, replayed until ${dayOf(result.to)}`,
  );
  terminal.line(`\n${colors.bold(`${metric} by week`)} (${isMoreBetter ? 'more' : 'less'} is better)`);
  const weeks = policies[0]?.weeks ?? [];
  terminal.table(
    ['week of', 'rows', ...policies.map(({ policy }) => policy)],
    weeks.map(({ week, rows }, index) => [
      `${dayOf(week)}${holdoutFrom !== undefined && week >= holdoutFrom ? ' *' : ''}`,
      rows,
      ...policies.map((each) => short(each.weeks[index]?.metrics[metric])),
    ]),
  );
  if (holdoutFrom !== undefined) terminal.line(`* held out, from ${dayOf(holdoutFrom)} on`);
  const second = { roc_auc: 'log_loss', log_loss: 'accuracy', rmse: 'mae' }[metric] as string;
  const shown = [metric, second];
  const isHeldOut = holdoutFrom !== undefined;
  terminal.line(
    `\n${colors.bold(isHeldOut ? 'over the rows before the hold-out, and in it *' : 'over all rows')}`,
  );
  terminal.table(
    ['policy', ...shown, ...(isHeldOut ? shown.map((each) => `${each} *`) : [])],
    policies.map(({ policy, before, holdout }) => [
      policy,
      ...shown.map((name) => short(before[name])),
      ...(isHeldOut ? shown.map((name) => short(holdout[name])) : []),
    ]),
  );
  const best = bestOf(policies, (each) => each.before[metric], isMoreBetter);
  if (isHeldOut && best !== undefined && policies.length > 1) {
    const checked = bestOf(policies, (each) => each.holdout[metric], isMoreBetter);
    terminal.line(
      `before the hold-out ${best.policy} was best; held out ${checked?.policy === best.policy ? 'it is again' : `${checked?.policy} is`}`,
    );
  }
  terminal.line(`\n${colors.bold('what each did')}`);
  const hasHeldBack = policies.some(({ heldBack }) => heldBack > 0);
  terminal.table(
    [
      'policy',
      'retrained',
      'promoted',
      'refused',
      ...(hasHeldBack ? ['held back'] : []),
      'drift alarms',
      'performance alarms',
    ],
    policies.map((each) => [
      each.policy,
      each.retrainings,
      each.promoted,
      each.rejected + each.failed,
      ...(hasHeldBack ? [each.heldBack] : []),
      each.alarms.drift,
      each.alarms.performance,
    ]),
  );
  if (isDetailed) showEvents(terminal, result);
  const told = policies.flatMap(({ policy, notWatched }) => notWatched.map((words) => ({ policy, words })));
  for (const [words, of] of Map.groupBy(told, (each) => each.words))
    terminal.note(`not watched (${of.map(({ policy }) => policy).join(', ')}): ${words}`);
  for (const words of result.notReplayed) terminal.note(`not replayed: ${words}`);
}

function showEvents(terminal: Terminal, { policies }: BacktestResult): void {
  for (const { policy, events } of policies) {
    terminal.line(`\n${terminal.colors.bold(policy)}`);
    if (events.length === 0) terminal.line('  nothing happened');
    for (const { at, kind, what, cause } of events) {
      terminal.line(`  ${dayOf(at)}  ${kind.padEnd(9)}  ${what}${cause === undefined ? '' : `  (${cause})`}`);
    }
  }
}

/** The first of equals. */
function bestOf<T>(all: readonly T[], measure: (one: T) => number | undefined, isMoreBetter: boolean) {
  const sign = isMoreBetter ? 1 : -1;
  let best: { one: T; value: number } | undefined;
  for (const one of all) {
    const value = measure(one);
    if (value === undefined) continue;
    if (best === undefined || sign * value > sign * best.value) best = { one, value };
  }
  return best?.one;
}

const short = (value: number | undefined): number | undefined =>
  value === undefined ? undefined : Number(formatNumber(Number(value.toFixed(4))));
