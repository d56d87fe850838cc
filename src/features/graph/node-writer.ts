import type { AttributeValue, GraphInput, OnnxGraphBuilder } from '../../models/index.ts';

/** TensorProto's numbers of the element types. */
const FLOAT32 = 1;
const FLOAT64 = 11;

/**
 * A truth value in the graph: `yes` is true where it is true, `maybe` where it is true or missing. Where it is never
 * missing both are one value.
 */
export interface Truth {
  yes: string;
  maybe: string;
}

export type NodeWriter = ReturnType<typeof createNodeWriter>;

/** The few words of which features are made in a graph; constants and what is marked `once` are written once. */
export function createNodeWriter(graph: OnnxGraphBuilder) {
  const known = new Map<string, string>();

  function once(key: string, write: () => string): string {
    const value = known.get(key) ?? write();
    known.set(key, value);
    return value;
  }

  const apply = (
    operator: string,
    inputs: readonly string[],
    attributes: Record<string, AttributeValue> = {},
    domain = '',
  ): string => graph.node(operator, inputs, graph.freshName(`derived_${operator}`), attributes, domain);

  const constant = (
    key: string,
    type: 'float64' | 'int64' | 'bool' | 'string',
    value: number | bigint | string,
  ) =>
    once(`${type} ${key}`, () =>
      graph.initializer(graph.freshName('derived_constant'), type, [1, 1], [value] as number[]),
    );
  const number = (value: number) => constant(Object.is(value, -0) ? '-0' : String(value), 'float64', value);
  const nan = () => constant('nan', 'float64', Number.NaN);
  const not = (value: string) => once(`not ${value}`, () => apply('Not', [value]));

  /** NaN for what is larger, infinite or NaN. */
  function finite(value: string, largest: number): string {
    const fits = apply('LessOrEqual', [apply('Abs', [value]), number(largest)]);
    return apply('Where', [fits, value, nan()]);
  }

  const toDouble = (value: string) => apply('Cast', [value], { to: { int: FLOAT64 } });

  const pair = (yes: string, maybe = yes): Truth => ({ yes, maybe });

  return {
    once,
    apply,
    number,
    nan,
    not,
    finite,
    toDouble,
    pair,
    moment: (value: bigint) => constant(String(value), 'int64', value),
    whole: (value: number) => constant(String(value), 'int64', BigInt(value)),
    text: (value: string) => constant(value, 'string', value),
    truth: (value: boolean) => constant(String(value), 'bool', value ? 1 : 0),
    index: (value: number) =>
      once(`index ${value}`, () =>
        graph.initializer(graph.freshName('derived_index'), 'int64', [1], [value]),
      ),
    /** Rounds to the seven digits of float32: the last digit of a logarithm differs from library to library. */
    toSingle: (value: string) => toDouble(apply('Cast', [value], { to: { int: FLOAT32 } })),
    /** An input's values; numbers as float64 that are finite or NaN. */
    onlyFinite: ({ name, elementType }: GraphInput): string =>
      once(`values of ${name}`, () => {
        if (elementType === 'string' || elementType === 'int64') return name;
        return finite(elementType === 'float64' ? name : toDouble(name), Number.MAX_VALUE);
      }),
    /** And, Or of two truth values. */
    both: (operator: 'And' | 'Or', a: Truth, b: Truth): Truth => {
      const yes = apply(operator, [a.yes, b.yes]);
      return pair(yes, a.yes === a.maybe && b.yes === b.maybe ? yes : apply(operator, [a.maybe, b.maybe]));
    },
    opposite: ({ yes, maybe }: Truth): Truth => {
      const sure = not(maybe);
      return pair(sure, yes === maybe ? sure : not(yes));
    },
  };
}
