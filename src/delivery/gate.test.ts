import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import {
  createDeliveryHarness,
  DAY,
  type DeliveryHarness,
  NOW,
  writeLabelledRows,
} from '../../tests/support/delivery-harness.ts';
import { describeDatabases, tempDir } from '../../tests/support/index.ts';
import { tinyClassifier } from '../../tests/support/tiny-model.ts';
import { ingestFile } from '../datasets/index.ts';
import { TRAINING_KEY } from '../models/index.ts';

const good = () => tinyClassifier({ weights: [3, -3] });
const better = (bias = -0.4) => tinyClassifier({ weights: [3, -3], bias });
const bad = () => tinyClassifier({ weights: [-3, 3] });
const trainedUntil = (to: number, weights: [number, number] = [3, -3]) =>
  tinyClassifier({
    weights,
    metadata: { [TRAINING_KEY]: JSON.stringify({ data: { digest: `until ${to}`, time: { from: 0, to } } }) },
  });

describeDatabases('the gate', (openDatabase, dialect) => {
  let harness: DeliveryHarness;
  let gate: object;

  beforeEach(async () => {
    gate = {};
    harness = await createDeliveryHarness(await openDatabase(), { policyOf: () => ({ gate }) });
    return () => harness.close();
  });

  const refusal = async (version: string) => {
    const { status, body } = await harness.promote(version);
    expect(status).toBe(409);
    return {
      message: body.message as string,
      verdict: body.details.verdict,
      evidence: body.details.evidence,
    };
  };

  it('clusters the rows by day, tells the interval, and keeps the decision with its evidence', async () => {
    const { path } = await writeLabelledRows({ rows: 700 });
    await harness.register(good(), path);
    await harness.register(better(), path);
    await harness.register(bad(), path);
    await harness.promote('1');
    const { body } = await harness.promote('2');
    expect(body.decision).toMatchObject({
      verdict: 'better',
      evidence: {
        held_out: { rows: 700, left_out: 0, from: NOW - 7 * DAY },
        look: { k: 1 },
        comparison: {
          metric: 'log_loss',
          clustered_by: 'day',
          clusters: 7,
          method: 't',
          margin_from: 'default',
        },
      },
    });
    const { comparison, checks } = body.decision.evidence;
    expect(comparison.lo).toBeGreaterThan(0);
    expect(comparison.margin).toBeCloseTo(0.01 * comparison.champion, 10);
    expect(comparison.alpha).toBeCloseTo((0.05 * 6) / Math.PI ** 2, 10);
    expect(comparison.delong.p).toBeLessThan(1);
    expect(checks.map(({ name, state }: any) => [name, state])).toEqual([
      ['example', 'passed'],
      ['reproducibility', 'unknown'],
      ['schema', 'passed'],
      ['leakage', 'passed'],
      ['latency', 'passed'],
      ['memory', 'passed'],
      ['calibration', 'passed'],
    ]);
    const { verdict, message } = await refusal('3');
    expect(verdict).toBe('worse');
    expect(message).toContain("Version 3 of 'm' is worse: log_loss");
    const decisions = await harness.decisions();
    expect(
      decisions.map(({ verdict, outcome, version, champion }: any) => [verdict, outcome, version, champion]),
    ).toEqual([
      ['worse', 'refused', '3', '2'],
      ['better', 'promoted', '2', '1'],
      ['first', 'promoted', '1', undefined],
    ]);
    const audit = (await harness.ask('GET', '/api/v1/audit?subject=models/m')).body.entries;
    expect(audit.map(({ sequence }: any) => sequence)).toEqual(decisions.map(({ id }: any) => id));
    expect(audit[0]).toMatchObject({ action: 'champion.promote-refused', evidence: { verdict: 'worse' } });
    expect(decisions.at(-1).evidence.metrics.challenger.log_loss).toBeGreaterThan(0);
  });

  it('spends less of alpha at each further look at the same rows, and nothing for the same question again', async () => {
    const { path } = await writeLabelledRows({ rows: 700 });
    for (const onnx of [good(), bad(), tinyClassifier({ weights: [-2, 2] })])
      await harness.register(onnx, path);
    await harness.promote('1');
    const alphas = [];
    for (const version of ['2', '3', '2']) alphas.push((await refusal(version)).evidence.comparison.alpha);
    expect(alphas[1]).toBeCloseTo(alphas[0] / 4, 12);
    expect(alphas[2]).toBe(alphas[0]);
    const other = await writeLabelledRows({ rows: 700, from: NOW - 14 * DAY });
    await harness.register(tinyClassifier({ weights: [-1, 1] }), other.path);
    expect((await refusal('4')).evidence.look.k).toBe(1);
  });

  // What a judgement says does not depend on the database.
  if (dialect !== 'sqlite') return;

  it('passes what is as good within the margin, and says how many more days would decide what is not clear', async () => {
    const { path } = await writeLabelledRows({ rows: 120 });
    for (const bias of [0, 0, -0.03, 0.12]) await harness.register(better(bias), path);
    await harness.promote('1');
    expect((await harness.promote('2')).body.decision.verdict).toBe('non-inferior');
    gate = { nonInferiority: 0.0001 };
    const { verdict, message, evidence } = await refusal('4');
    expect(verdict).toBe('inconclusive');
    expect(message).toMatch(/About \d+ more rows \(\d+ more days\) would decide/);
    expect(evidence.comparison.more_clusters).toBeGreaterThan(0);
    expect(evidence.comparison.margin_from).toBe('policy');
  });

  it('leaves out rows that the champion may have learned from, and refuses when none are left', async () => {
    const { path } = await writeLabelledRows({ rows: 700 });
    await harness.register(trainedUntil(NOW - 4 * DAY), path);
    await harness.register(trainedUntil(NOW - 7 * DAY, [3.2, -3]), path);
    await harness.promote('1');
    const { body } = await harness.promote('2', { force: true, reason: 'look at it' });
    expect(body.decision.evidence.held_out).toMatchObject({ rows: 400, left_out: 300 });
    expect(body.decision.evidence.notes).toEqual([expect.stringContaining('300 rows are left out')]);
    await harness.register(trainedUntil(NOW + DAY), path);
    await harness.promote('3', { force: true, reason: 'newer' });
    await harness.register(good(), path);
    const { verdict, message } = await refusal('4');
    expect(verdict).toBe('incomparable');
    expect(message).toContain('none of the 700 rows is later');
  });

  it('stops what is below the floor, a first version too', async () => {
    const { path } = await writeLabelledRows({ rows: 700 });
    gate = { metric: 'roc_auc', atLeast: 0.999 };
    await harness.register(good(), path);
    const first = await refusal('1');
    expect(first.verdict).toBe('blocked');
    expect(first.message).toMatch(/atLeast: roc_auc 0\.9\d+, asked for at least 0\.999/);
    gate = { atLeast: 0.5 };
    expect((await harness.promote('1')).body.decision.verdict).toBe('first');
    gate = { atLeast: 0.01 };
    await harness.register(better(), path);
    const second = await refusal('2');
    expect(second.message).toMatch(/atLeast: log_loss .* asked for at most 0\.01 \(better otherwise/);
  });

  it('stops a first version whose floor cannot be measured, and says why', async () => {
    gate = { metric: 'roc_auc', atLeast: 0.8 };
    await harness.register(good());
    const without = await refusal('1');
    expect(without.verdict).toBe('blocked');
    expect(without.message).toMatch(/atLeast: 0\.8 is asked for and cannot be measured: .*no held-out rows/);
    const folder = tempDir();
    const csv = join(folder, 'rows.csv');
    writeFileSync(csv, 'a,b,answer\n1,0,yes\n2,0,yes\n3,1,yes\n');
    const path = join(folder, 'rows.parquet');
    await ingestFile({ path: csv, outPath: path });
    await harness.register(good(), path);
    const oneClass = await refusal('2');
    expect(oneClass.message).toMatch(/atLeast: 0\.8 is asked for and cannot be measured: roc_auc could not/);
    const forced = await harness.promote('1', { force: true, reason: 'known' });
    expect(forced.body.decision.verdict).toBe('forced');
  });

  it('stops a version that is worse in one slice, and says which were too small to judge', async () => {
    const folder = tempDir();
    const lines = Array.from({ length: 2000 }, (_, i) => {
      const a = ((i * 37) % 100) / 25 - 2;
      const b = ((i * 61) % 100) / 25 - 2;
      const plan = i % 400 === 0 ? 'rare' : i % 5 === 0 ? 'small' : 'large';
      // In the small plan the truth is turned round: the champion does not know it, the challenger knows it less.
      const isYes = plan === 'small' ? a < b : a > b;
      return `${a},${b},${plan},${isYes ? 'yes' : 'no'},${NOW - 20 * DAY + Math.floor((i / 2000) * 20 * DAY)}`;
    });
    const csv = join(folder, 'rows.csv');
    writeFileSync(csv, `a,b,plan,answer,__time\n${lines.join('\n')}\n`);
    const path = join(folder, 'rows.parquet');
    await ingestFile({ path: csv, outPath: path });
    await harness.register(tinyClassifier({ weights: [0.2, -0.2] }), path);
    await harness.register(tinyClassifier({ weights: [0.5, -0.5] }), path);
    await harness.promote('1');
    gate = { slices: ['plan'] };
    const { verdict, message, evidence } = await refusal('2');
    expect(verdict).toBe('blocked');
    expect(message).toContain('slices: worse in plan=small; 2 slices judged, 1 too small to judge');
    expect(message).toContain('better otherwise');
    expect(evidence.slices).toMatchObject([
      { value: 'rare', rows: 5, result: 'too small to judge' },
      { value: 'large', result: 'not shown worse' },
      { value: 'small', result: 'worse' },
    ]);
    expect((await harness.promote('2', { force: true, reason: 'known' })).body.decision.verdict).toBe(
      'forced',
    );
  });

  it('stops a version for which callers would have to send more, and one that has the target among its columns', async () => {
    const folder = tempDir();
    const csv = join(folder, 'rows.csv');
    const lines = Array.from({ length: 400 }, (_, i) => {
      const a = ((i * 37) % 100) / 25 - 2;
      const isYes = a > 0 === (i % 9 !== 0);
      return `${a},${a},${isYes ? 1 : 0},${isYes ? 'yes' : 'no'},${NOW - DAY * 7 + i * 1_500_000}`;
    });
    writeFileSync(csv, `a,b,won,answer,__time\n${lines.join('\n')}\n`);
    const path = join(folder, 'rows.parquet');
    await ingestFile({ path: csv, outPath: path });
    await harness.register(tinyClassifier({ weights: [1, 1] }), path);
    await harness.register(tinyClassifier({ weights: [0.1, 9], bias: -4.5, columns: ['a', 'won'] }), path);
    await harness.promote('1');
    const { verdict, message } = await refusal('2');
    expect(verdict).toBe('blocked');
    expect(message).toContain('schema: it needs columns that callers do not send: won');
    expect(message).toContain('leakage: the target under another name: won');
  });

  it('says what is wrong with a policy', async () => {
    const { path } = await writeLabelledRows({});
    await harness.register(good(), path);
    await harness.register(better(), path);
    await harness.promote('1');
    gate = { metric: 'rmse' };
    expect((await refusal('2')).message).toContain("gate's metric rmse does not fit a model of 2 classes");
    gate = { nonInferiority: -1 };
    const refused = await harness.promote('2');
    expect(refused.status).toBe(400);
    expect(refused.body.message).toContain('models.m.gate.nonInferiority');
  });

  it('explains every threshold with its formula, and which of them the project sets', async () => {
    gate = { metric: 'roc_auc', atLeast: 0.8 };
    const entries = await harness.delivery.explain('m');
    const of = (source: string) => entries.find((each) => each.source === source);
    expect(of('gate.metric')).toMatchObject({ value: 'roc_auc', isDefault: false });
    expect(of('gate.alpha')).toMatchObject({
      value: '0.05',
      isDefault: true,
      formula: expect.stringContaining('6/(π²k²)'),
    });
    expect(of('rollout.watch')).toMatchObject({ value: '7d', isDefault: true });
    expect(entries.every(({ formula, value }) => formula !== '' && value !== '')).toBe(true);
  });
});
