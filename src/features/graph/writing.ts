import type { OnnxGraphBuilder } from '../../models/index.ts';
import type { Expression } from '../language/expression.ts';
import type { NodeWriter, Truth } from './node-writer.ts';
import type { CalendarWriter } from './write-calendar.ts';

/** What the parts of the feature writer share; everything that is asked for twice is written once. */
export interface Writing {
  graph: OnnxGraphBuilder;
  node: NodeWriter;
  /** A number, a text or a moment. */
  valueFor: (expression: Expression) => string;
  truthFor: (expression: Expression) => Truth;
  /** Where a number, a text or a moment is missing. */
  isMissing: (expression: Expression) => string;
  calendarOf: (date: Expression) => CalendarWriter;
  /** 0 for any other text, 1 for missing text, 2 for one of these. */
  codesOf: (value: string, texts: readonly string[]) => string;
  /** Whether a number is surely no larger than that, and so needs no check. */
  fitsIn: (expression: Expression, limit?: number) => boolean;
}
