import { expect, it } from 'vitest';
import { nearestName } from './index.ts';

it.each([
  ['prot', ['port', 'host', 'data'], 'port'],
  ['TIDEMILL_SERVEPORT', ['TIDEMILL_PORT', 'TIDEMILL_SERVE_PORT'], 'TIDEMILL_SERVE_PORT'],
  ['Species', ['species', 'sepal length'], 'species'],
  ['dely', ['date', 'delay', 'distance'], 'delay'],
  ['sepal_length_cm', ['sepal width (cm)', 'sepal length (cm)'], 'sepal length (cm)'],
  ['a', ['b'], 'b'],
])('takes %s for the nearest of %s', (name, candidates, nearest) => {
  expect(nearestName(name, candidates)).toBe(nearest);
});

it.each([
  ['colour', ['delay', 'distance']],
  ['x', []],
  ['ab', ['cd']],
])('finds nothing near %s among %s', (name, candidates) => {
  expect(nearestName(name, candidates)).toBeUndefined();
});
