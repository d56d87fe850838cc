import { z } from 'zod';

/** What a raw value of a column is: a number, a whole number, true or false, text, a moment. */
export const COLUMN_TYPES = ['double', 'long', 'boolean', 'string', 'datetime'] as const;
export type ColumnType = (typeof COLUMN_TYPES)[number];

/** The element types that a graph's inputs can have; `bool` is fed as bytes of 0 and 1. */
export const ELEMENT_TYPES = ['float32', 'float64', 'int64', 'int32', 'bool', 'string'] as const;
export type ElementType = (typeof ELEMENT_TYPES)[number];

/** Stands for a missing date in an int64 input: the smallest int64, no real moment. */
export const MISSING_DATETIME = -(2n ** 63n);
/** Stands for missing text in our own models: no text that people write starts with U+0001. */
export const MISSING_TEXT = '\u0001missing';

const nonEmpty = z.string().min(1);

export const inputColumnSchema = z.object({
  name: nonEmpty,
  type: z.enum(COLUMN_TYPES),
  /** Whether null is a value that the model has learned to take. */
  nullable: z.boolean(),
  /** Text columns: what the model was trained on. Other text is accepted, and counted as unseen. */
  categories: z.array(z.string()).optional(),
});

export const graphInputSchema = z.object({
  name: nonEmpty.refine((name) => name !== '__proto__', 'an input cannot be called __proto__'),
  elementType: z.enum(ELEMENT_TYPES),
  /** The columns of the tensor [rows, columns.length], in its order. */
  columns: z.array(nonEmpty).min(1),
});

const classSchema = z.union([z.string(), z.number(), z.boolean()]);

const classifierOutputSchema = z.object({
  task: z.enum(['binary', 'multiclass']),
  target: nonEmpty,
  classes: z.array(classSchema).min(1),
  /** The output [rows, classes]; [rows, 1] and [rows] hold the probability of the second of two classes. */
  probabilities: nonEmpty,
  /** The output with the labels, where they are more than the most probable class (foreign files). */
  label: nonEmpty.optional(),
  /** What turns the output's scores into probabilities, where the graph does not (foreign files). */
  activation: z.enum(['sigmoid', 'softmax']).optional(),
});

const regressionOutputSchema = z.object({
  task: z.literal('regression'),
  target: nonEmpty,
  /** The output [rows, 1] or [rows]. */
  value: nonEmpty,
});

export const outputSpecSchema = z.union([classifierOutputSchema, regressionOutputSchema]);

/** What goes into a model and what comes out, in the terms of a table. Kept in the ONNX file, and served as JSON. */
export const signatureSchema = z
  .object({
    columns: z.array(inputColumnSchema).min(1),
    inputs: z.array(graphInputSchema).min(1),
    output: outputSpecSchema,
    /** What missing text is fed as. */
    missingText: z.string().optional(),
  })
  .superRefine((signature, context) => {
    for (const message of contradictions(signature)) context.addIssue({ code: 'custom', message });
  });

export type InputColumn = z.infer<typeof inputColumnSchema>;
export type GraphInput = z.infer<typeof graphInputSchema>;
export type ClassifierOutput = z.infer<typeof classifierOutputSchema>;
export type RegressionOutput = z.infer<typeof regressionOutputSchema>;
export type OutputSpec = z.infer<typeof outputSpecSchema>;
export type Signature = z.infer<typeof signatureSchema>;
/** A class as the data had it: text, a number or a boolean. */
export type ClassValue = z.infer<typeof classSchema>;

/** Which element types can hold a column's values. */
const FITS: Record<ColumnType, readonly ElementType[]> = {
  double: ['float32', 'float64'],
  long: ['float32', 'float64', 'int64', 'int32'],
  boolean: ['float32', 'float64', 'int64', 'int32', 'bool'],
  string: ['string'],
  datetime: ['int64', 'float64'],
};

function* contradictions(signature: {
  columns: InputColumn[];
  inputs: GraphInput[];
  output: OutputSpec;
  missingText?: string | undefined;
}): Generator<string> {
  const columns = new Map<string, InputColumn>();
  for (const column of signature.columns) {
    if (columns.has(column.name)) yield `two columns are called ${JSON.stringify(column.name)}`;
    columns.set(column.name, column);
  }
  const fed = new Set<string>();
  const inputNames = new Set<string>();
  for (const input of signature.inputs) {
    if (inputNames.has(input.name)) yield `two inputs are called ${JSON.stringify(input.name)}`;
    inputNames.add(input.name);
    for (const name of input.columns) {
      const column = columns.get(name);
      if (!column)
        yield `input ${JSON.stringify(input.name)} takes ${JSON.stringify(name)}, which is no column`;
      else if (!FITS[column.type].includes(input.elementType)) {
        yield `column ${JSON.stringify(name)} is ${column.type}, which ${input.elementType} cannot hold`;
      }
      if (fed.has(name)) yield `column ${JSON.stringify(name)} is fed twice`;
      fed.add(name);
    }
  }
  for (const column of signature.columns) {
    if (!fed.has(column.name)) yield `column ${JSON.stringify(column.name)} is fed to no input`;
    if (column.type === 'string' && column.nullable && signature.missingText === undefined) {
      yield `column ${JSON.stringify(column.name)} may be missing, but missingText does not say how`;
    }
  }
  const { output } = signature;
  if (output.task === 'regression') return;
  if (new Set(output.classes).size !== output.classes.length) yield 'a class is named twice';
  if (output.task === 'binary' && output.classes.length !== 2) {
    yield `a binary model has 2 classes, not ${output.classes.length}`;
  }
}
