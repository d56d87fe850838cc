import type { Call, ChoiceOperation, Expression, TruthOperation } from '../language/expression.ts';
import type { NodeWriter, Truth } from './node-writer.ts';
import type { Writing } from './writing.ts';

/** Writes what gives true, false or missing. */
export function writeTruth(expression: Call, writing: Writing): Truth {
  const { node, valueFor, truthFor, isMissing, codesOf } = writing;
  const { apply } = node;
  const { operands } = expression;
  const operation = expression.operation as TruthOperation | ChoiceOperation;
  const [a, b] = operands as [Expression, Expression];
  switch (operation) {
    case 'not': {
      const { yes, maybe } = truthFor(a);
      return node.pair(node.not(maybe), yes === maybe ? undefined : node.not(yes));
    }
    case 'and':
    case 'or':
      return node.both(operation === 'and' ? 'And' : 'Or', truthFor(a), truthFor(b));
    case 'is_missing': {
      if (a.type !== 'boolean') return node.pair(isMissing(a));
      const { yes, maybe } = truthFor(a);
      return node.pair(apply('Xor', [yes, maybe]));
    }
    case 'among': {
      const codes = codesOf(valueFor(a), expression.texts!);
      return {
        yes: apply('Equal', [codes, node.whole(2)]),
        maybe: apply('Greater', [codes, node.whole(0)]),
      };
    }
    case 'less':
    case 'less_equal':
    case 'equal':
      return a.type === 'boolean' ? agree(truthFor(a), truthFor(b), node) : compare(operation, a, b, writing);
    case 'coalesce': {
      const [first, rest] = [truthFor(a), truthFor(b)];
      const missing = apply('Xor', [first.yes, first.maybe]);
      const other = node.both('And', { yes: missing, maybe: missing }, rest);
      return node.both('Or', { yes: first.yes, maybe: first.yes }, other);
    }
    case 'if':
      return chooseTruth(truthFor(a), truthFor(b), truthFor(operands[2]!), node);
  }
}

function compare(
  operation: 'less' | 'less_equal' | 'equal',
  a: Expression,
  b: Expression,
  { graph, node, valueFor, isMissing }: Writing,
): Truth {
  const { apply } = node;
  const names = { less: 'Less', less_equal: 'LessOrEqual', equal: 'Equal' };
  // Texts can be compared with one another from operator set 19 on.
  if (a.type === 'text') graph.requireOpset(19);
  const holds = apply(names[operation], [valueFor(a), valueFor(b)]);
  const missing = [a, b].filter(({ kind }) => kind === 'column' || kind === 'call').map(isMissing);
  if (missing.length === 0) return node.pair(holds);
  const either = missing.reduce((x, y) => apply('Or', [x, y]));
  return { yes: apply('And', [holds, node.not(either)]), maybe: apply('Or', [holds, either]) };
}

const agree = (a: Truth, b: Truth, node: NodeWriter): Truth =>
  node.both('Or', node.both('And', a, b), node.both('And', node.opposite(a), node.opposite(b)));

function chooseTruth(condition: Truth, then: Truth, otherwise: Truth, node: NodeWriter): Truth {
  const chosen = node.both(
    'Or',
    node.both('And', { yes: condition.yes, maybe: condition.yes }, then),
    node.both('And', node.opposite({ yes: condition.maybe, maybe: condition.maybe }), otherwise),
  );
  if (condition.yes === condition.maybe) return chosen;
  const missing = node.apply('Xor', [condition.yes, condition.maybe]);
  return { yes: chosen.yes, maybe: node.apply('Or', [chosen.maybe, missing]) };
}
