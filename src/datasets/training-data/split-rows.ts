import { ApiError, createRandom } from '../../platform/index.ts';
import type { SplitSpec } from '../table.ts';
import { shuffleFront } from './shuffle-front.ts';

/** Where each row of the file goes: its index in the training table, or -2 - its index in the test table, or DROPPED. */
export interface RowPlaces {
  places: Int32Array;
  trainRows: number;
  testRows: number;
}

export const DROPPED = -1;

export const testPlace = (index: number): number => -2 - index;

/**
 * Divides rows into training and test rows; `NaN` targets are dropped. Stratified keeps each class's share, by time puts the
 * latest rows into the test (rows of the same moment stay together; rows without a time are for training).
 *
 * @param options `times` in milliseconds
 */
export function splitRows(
  target: Float64Array,
  split: SplitSpec,
  options: { classes?: number; times?: Float64Array },
): RowPlaces {
  if (split.testShare !== undefined && !(split.testShare > 0 && split.testShare < 1)) {
    throw new ApiError('INVALID_PARAMETER_VALUE', `The test share ${split.testShare} is not between 0 and 1`);
  }
  const isTest = new Uint8Array(target.length);
  const times = options.times ?? new Float64Array(0);
  if (split.kind === 'time' && split.testFrom !== undefined)
    for (let row = 0; row < times.length; row++) isTest[row] = times[row]! >= split.testFrom ? 1 : 0;
  else if (split.kind === 'time') markLatest(target, times, split.testShare, isTest);
  else markDrawn(target, split.kind === 'stratified' ? (options.classes ?? 1) : 1, split, isTest);
  const places = new Int32Array(target.length);
  let trainRows = 0;
  let testRows = 0;
  for (let row = 0; row < target.length; row++) {
    if (Number.isNaN(target[row])) places[row] = DROPPED;
    else if (isTest[row]) places[row] = testPlace(testRows++);
    else places[row] = trainRows++;
  }
  if (trainRows === 0 || testRows === 0) {
    if (split.kind === 'time' && split.testFrom !== undefined)
      throw refuseMoment(split.testFrom, trainRows, testRows);
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `${trainRows + testRows} rows cannot be divided: ${trainRows} would be for training and ${testRows} for the test`,
    );
  }
  return { places, trainRows, testRows };
}

function refuseMoment(testFrom: number, trainRows: number, testRows: number): ApiError {
  const moment = new Date(testFrom).toISOString();
  return new ApiError(
    'INVALID_PARAMETER_VALUE',
    `The rows cannot be divided at ${moment}: ${trainRows} happened before and ${testRows} from then on`,
  );
}

function markDrawn(
  target: Float64Array,
  strata: number,
  split: Extract<SplitSpec, { kind: 'stratified' | 'random' }>,
  isTest: Uint8Array,
): void {
  const stratumOf = (row: number) => (strata === 1 ? 0 : target[row]!);
  const counts = new Int32Array(strata);
  for (let row = 0; row < target.length; row++) {
    if (!Number.isNaN(target[row])) counts[stratumOf(row)] = counts[stratumOf(row)]! + 1;
  }
  const members = [...counts].map((count) => new Int32Array(count));
  const filled = new Int32Array(strata);
  for (let row = 0; row < target.length; row++) {
    if (Number.isNaN(target[row])) continue;
    const stratum = stratumOf(row);
    const place = filled[stratum]!;
    members[stratum]![place] = row;
    filled[stratum] = place + 1;
  }
  const random = createRandom(split.seed);
  for (const rows of members) {
    const count = Math.round(rows.length * split.testShare);
    shuffleFront(rows, count, random);
    for (let index = 0; index < count; index++) isTest[rows[index]!] = 1;
  }
}

function markLatest(target: Float64Array, times: Float64Array, testShare: number, isTest: Uint8Array): void {
  const known = times.filter((time, row) => !Number.isNaN(time) && !Number.isNaN(target[row])).sort();
  if (known.length === 0)
    throw new ApiError('INVALID_PARAMETER_VALUE', 'No row has a time, so that rows cannot be split by it');
  if (known[0] === known.at(-1)) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      'All rows have the same time, so that rows cannot be split by it',
    );
  }
  const first = Math.min(known.length - 1, Math.max(1, Math.round(known.length * (1 - testShare))));
  let cut = known[first]!;
  if (cut === known[0]) cut = known.find((time) => time > cut)!;
  for (let row = 0; row < times.length; row++) if (times[row]! >= cut) isTest[row] = 1;
}
