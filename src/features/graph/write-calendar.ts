import { MISSING_DATETIME, type OnnxGraphBuilder } from '../../models/index.ts';
import { type CalendarPart, DAYS_PER_ERA, EPOCH_DAY, MS_PER_DAY, MS_PER_MINUTE } from '../calendar.ts';

/** Eras added to a day, so that it is positive for every moment that int64 milliseconds or a `Date` can say. */
const ERAS_BEFORE = 800_000;

export interface CalendarWriter {
  /** The whole-number part of each date, as int64 of the input's shape; garbage where the date is missing. */
  writePart(part: CalendarPart | 'hour'): string;
  /** The part as float32, NaN where the date is missing. */
  writeNumber(part: CalendarPart): string;
  /** True where the date is missing. */
  writeMissing(): string;
}

/**
 * Writes the nodes that take dates apart, in whole numbers: float32 would lose minutes. The same arithmetic as
 * `calendarPart`; intermediate results are shared between the parts.
 *
 * @param times an int64 value of the graph, milliseconds since the epoch
 */
export function createCalendarWriter(graph: OnnxGraphBuilder, times: string): CalendarWriter {
  const known = new Map<string, string>();
  const once = (name: string, write: () => string): string => {
    const value = known.get(name) ?? write();
    known.set(name, value);
    return value;
  };
  const constant = (value: number | bigint) =>
    once(`constant ${value}`, () =>
      graph.initializer(graph.freshName(`calendar_${value}`), 'int64', [], [BigInt(value)]),
    );
  const apply = (op: string, ...inputs: string[]) =>
    graph.node(op, inputs, graph.freshName(`calendar_${op}`));
  const add = (a: string, b: number) => apply('Add', a, constant(b));
  const multiply = (a: string, b: number) => apply('Mul', a, constant(b));
  const subtract = (a: string, b: string) => apply('Sub', a, b);
  /** Rounds towards zero, so only for what is not negative. */
  const divide = (a: string, b: number) => apply('Div', a, constant(b));
  /** Of the divisor's sign, so right for what is negative too. */
  const modulo = (a: string, b: number) => apply('Mod', a, constant(b));
  const is = (a: string, b: number) => apply('Equal', a, constant(b));
  const asNumber = (a: string) =>
    graph.node('Cast', [a], graph.freshName('calendar_Cast'), { to: { int: 7 } });

  const msOfDay = () => once('msOfDay', () => modulo(times, MS_PER_DAY));
  const day = () => once('day', () => divide(subtract(times, msOfDay()), MS_PER_DAY));
  const dayOfEra = () =>
    once('dayOfEra', () => modulo(add(day(), EPOCH_DAY + ERAS_BEFORE * DAYS_PER_ERA), DAYS_PER_ERA));
  const yearOfEra = () =>
    once('yearOfEra', () => {
      const leapDays = subtract(divide(dayOfEra(), 1460), divide(dayOfEra(), 36_524));
      const commonDays = subtract(subtract(dayOfEra(), leapDays), divide(dayOfEra(), 146_096));
      return divide(commonDays, 365);
    });
  const dayFromMarch = () =>
    once('dayFromMarch', () => {
      const before = apply('Add', multiply(yearOfEra(), 365), divide(yearOfEra(), 4));
      return subtract(dayOfEra(), subtract(before, divide(yearOfEra(), 100)));
    });
  const monthFromMarch = () => once('monthFromMarch', () => divide(add(multiply(dayFromMarch(), 5), 2), 153));
  const isNewYear = () => once('isNewYear', () => apply('Less', constant(9), monthFromMarch()));

  const parts: Record<CalendarPart | 'hour', () => string> = {
    minute_of_day: () => divide(msOfDay(), MS_PER_MINUTE),
    hour: () => divide(msOfDay(), 60 * MS_PER_MINUTE),
    weekday: () => modulo(add(day(), 3), 7),
    day_of_month: () => add(subtract(dayFromMarch(), divide(add(multiply(monthFromMarch(), 153), 2), 5)), 1),
    month: () => apply('Where', isNewYear(), add(monthFromMarch(), -9), add(monthFromMarch(), 3)),
    day_of_year: () => {
      const fourth = asNumber(is(modulo(yearOfEra(), 4), 0));
      const hundredth = asNumber(is(modulo(yearOfEra(), 100), 0));
      const leap = apply('Add', subtract(fourth, hundredth), asNumber(is(yearOfEra(), 0)));
      const afterFebruary = apply('Add', add(dayFromMarch(), 60), leap);
      return apply('Where', isNewYear(), add(dayFromMarch(), -305), afterFebruary);
    },
  };

  const writePart = (part: CalendarPart | 'hour') => once(part, parts[part]);
  const writeMissing = () => once('missing', () => apply('Equal', times, constant(MISSING_DATETIME)));
  return {
    writePart,
    writeMissing,
    writeNumber(part) {
      const number = graph.node('Cast', [writePart(part)], graph.freshName(part), { to: { int: 1 } });
      const nan = once('nan', () => graph.initializer(graph.freshName('nan'), 'float32', [], [Number.NaN]));
      return apply('Where', writeMissing(), nan, number);
    },
  };
}
