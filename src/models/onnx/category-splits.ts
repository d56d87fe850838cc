import { ML_DOMAIN, type OnnxGraphBuilder } from './build-onnx-graph.ts';

/**
 * Adds the coding of one text column and returns the name of its codes, int64 [rows]: the index of a known category,
 * `categories.length` for missing text, `categories.length + 1` for text that the model has not seen.
 * @param text a string tensor [rows, columns]; `column` is the place in it.
 */
export function addCategoryCodes(
  graph: OnnxGraphBuilder,
  {
    text,
    column,
    categories,
    missingText,
  }: { text: string; column: number; categories: readonly string[]; missingText: string },
  output = graph.freshName(`codes_${column}`),
): string {
  const place = graph.initializer(graph.freshName(`place_${column}`), 'int64', [], [column]);
  const values = graph.node('Gather', [text, place], graph.freshName(`text_${column}`), { axis: { int: 1 } });
  return graph.node(
    'LabelEncoder',
    [values],
    output,
    {
      keys_strings: { strings: [...categories, missingText] },
      values_int64s: { ints: Array.from({ length: categories.length + 1 }, (_, index) => index) },
      default_int64: { int: categories.length + 1 },
    },
    ML_DOMAIN,
  );
}

/** Beyond this many entries the membership table is kept as bytes: a quarter of the file and of the memory. */
const LARGE_TABLE = 1_000_000;

/**
 * Adds one derived column for each set of codes and returns their name, float32 [rows, sets]: 0 where the row's code
 * is in the set, else 1. A tree that sends a set of categories to its left splits the derived column at 0.5. Measured
 * in ONNX Runtime 1.30, the lookup beats the set operator of `TreeEnsemble` (ml 5) on one row and on many.
 * @param levels how many different codes there are, those for missing and unseen text among them.
 */
export function addCategorySets(
  graph: OnnxGraphBuilder,
  { codes, levels, sets }: { codes: string; levels: number; sets: readonly Iterable<number>[] },
  output = graph.freshName('sets'),
): string {
  const table = new Uint8Array(levels * sets.length).fill(1);
  sets.forEach((set, index) => {
    for (const code of set) {
      if (code < 0 || code >= levels) throw new Error(`Code ${code} is not among ${levels} levels`);
      table[code * sets.length + index] = 0;
    }
  });
  const large = table.length > LARGE_TABLE;
  const name = graph.freshName(`${output}_table`);
  graph.initializer(name, large ? 'uint8' : 'float32', [levels, sets.length], table);
  if (!large) return graph.node('Gather', [name, codes], output, { axis: { int: 0 } });
  const found = graph.node('Gather', [name, codes], graph.freshName(`${output}_bytes`), { axis: { int: 0 } });
  return graph.node('Cast', [found], output, { to: { int: 1 } });
}
