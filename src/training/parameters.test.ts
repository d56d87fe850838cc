import { describe, expect, it } from 'vitest';
import { ERROR_STATUS } from '../platform/index.ts';
import { describeParameters, parseParameters } from './parameters.ts';

describe('parameters', () => {
  it('have defaults, and take the texts of a command line', () => {
    expect(parseParameters('gradient-boosting', { trees: '150', class_weight: 'balanced' })).toMatchObject({
      trees: 150,
      learning_rate: 0.1,
      class_weight: 'balanced',
    });
    expect(parseParameters('linear', { l2: 0 })).toMatchObject({ l2: 0, impute: 'mean' });
  });

  it('are refused by name, with the nearest one that exists', () => {
    expect(() => parseParameters('gradient-boosting', { learning_rat: 1 })).toThrow(
      /gradient-boosting has no parameter 'learning_rat'; did you mean 'learning_rate'\? It has trees, /,
    );
    expect(() => parseParameters('gradient-boosting', { depth: 1 })).toThrow(/did you mean 'max_depth'\?/);
    expect(() => parseParameters('linear', { quux: 1 })).toThrow(
      /linear has no parameter 'quux'\. It has l2, /,
    );
    expect(() => parseParameters('linear', { toString: 1 })).toThrow(/has no parameter 'toString'/);
  });

  it('are refused when a value is out of range or of another kind', () => {
    const refused: [Record<string, string | number>, RegExp][] = [
      [{ trees: 0 }, /'trees' of gradient-boosting is 0: it must be a whole number from 1 to 10000$/],
      [
        { trees: 'many' },
        /'trees' of gradient-boosting is "many": it must be a whole number from 1 to 10000$/,
      ],
      [{ trees: '' }, /'trees' has no value/],
      [{ trees: 1.5 }, /'trees' of gradient-boosting is 1.5: it must be a whole number/],
      [{ subsample: '2' }, /'subsample' of gradient-boosting is "2": it must be a number from 0.01 to 1$/],
      [
        { class_weight: 'heavy' },
        /'class_weight' of gradient-boosting is "heavy": it must be 'none' or 'balanced'$/,
      ],
    ];
    for (const [given, message] of refused) {
      expect(() => parseParameters('gradient-boosting', given)).toThrow(message);
      expect(() => parseParameters('gradient-boosting', given)).toThrow(
        expect.objectContaining({ status: ERROR_STATUS.INVALID_PARAMETER_VALUE }),
      );
    }
  });

  it('are all described', () => {
    for (const algorithm of ['gradient-boosting', 'linear'] as const) {
      const docs = describeParameters(algorithm);
      expect(docs.every((doc) => doc.description.length > 10)).toBe(true);
      expect(Object.fromEntries(docs.map((doc) => [doc.name, doc.default]))).toEqual(
        parseParameters(algorithm, {}),
      );
    }
  });
});
