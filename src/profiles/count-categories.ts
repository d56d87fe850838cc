import type { ColumnCounts } from './column-counts.ts';
import type { CodeValues, ColumnValues, TextValues } from './column-values.ts';
import { type CategoricalColumn, hashText } from './profile-spec.ts';

/** Counters of values outside the dictionary: whether they are one new value or many. */
export const UNSEEN_COUNTERS = 64;

export interface CategoricalCounts extends ColumnCounts {
  kind: 'categorical';
  add(rows: number, values: ColumnValues): void;
}

const dictionaries = new WeakMap<CategoricalColumn, Map<string, number>>();

/** One dictionary for all profiles of a spec: a window is the sum of many. */
function dictionaryOf(column: CategoricalColumn): Map<string, number> {
  let dictionary = dictionaries.get(column);
  if (dictionary === undefined) {
    dictionary = new Map(column.categories.map((category, bin) => [category, bin]));
    dictionaries.set(column, dictionary);
  }
  return dictionary;
}

export function createCategoricalCounts(column: CategoricalColumn): CategoricalCounts {
  const { categories, hasOther } = column;
  const other = categories.length;
  const bins = new Float64Array(other + 1);
  const unseenValues = new Float64Array(UNSEEN_COUNTERS);
  const dictionary = dictionaryOf(column);
  let knownLabels: readonly string[] | undefined;
  let binOfCode = new Int32Array(0);

  const countUnknown = (text: string) => {
    unseenValues[hashText(text) % UNSEEN_COUNTERS]!++;
    if (hasOther) bins[other]!++;
    else counts.unseen++;
  };

  const addTexts = (rows: number, { texts, stride, offset, missing }: TextValues) => {
    let missingRows = 0;
    let at = offset;
    for (let row = 0; row < rows; row++, at += stride) {
      const text = texts[at];
      if (text === null || text === undefined || text === missing) {
        missingRows++;
        continue;
      }
      const bin = dictionary.get(text);
      if (bin === undefined) countUnknown(text);
      else bins[bin]!++;
    }
    return missingRows;
  };

  const addCodes = (rows: number, { codes, labels, stride, offset, isDictionary }: CodeValues) => {
    if (labels !== knownLabels) {
      binOfCode = Int32Array.from(labels, (label) => dictionary.get(label) ?? -1);
      knownLabels = labels;
    }
    let missingRows = 0;
    let at = offset;
    for (let row = 0; row < rows; row++, at += stride) {
      const code = codes[at]!;
      if (!(code >= 0 && code < binOfCode.length)) {
        if (isDictionary && code >= 0) bins[other]!++;
        else missingRows++;
        continue;
      }
      const bin = binOfCode[code]!;
      if (bin < 0) countUnknown(labels[code]!);
      else bins[bin]!++;
    }
    return missingRows;
  };

  const counts: CategoricalCounts = {
    kind: 'categorical',
    bins,
    missing: 0,
    nonFinite: 0,
    unseen: 0,
    unseenValues,
    count: 0,
    mean: Number.NaN,
    m2: 0,
    add(rows, values) {
      if ('numbers' in values) throw new TypeError(`Column ${column.name} is counted by texts`);
      const missing = 'texts' in values ? addTexts(rows, values) : addCodes(rows, values);
      counts.missing += missing;
      counts.count += rows - missing;
    },
  };
  return counts;
}
