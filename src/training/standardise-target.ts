import type { Table } from '../datasets/index.ts';

/**
 * Numbers in units of their spread around their mean, so that no limit of a trainer depends on the target's unit; class
 * indexes as they are. The value of a standardised y is `y · unit + center`.
 *
 * @param training the rows that mean and spread are taken of
 */
export function standardiseTarget({ target, task }: Table, training: Int32Array) {
  if (task !== 'regression') return { target, center: 0, unit: 1 };
  let center = 0;
  for (const row of training) center += target[row]! / training.length;
  let squares = 0;
  for (const row of training) squares += (target[row]! - center) ** 2 / training.length;
  const unit = Math.sqrt(squares) || 1;
  return { target: target.map((value) => (value - center) / unit), center, unit };
}
