import { beforeAll, beforeEach, expect, it } from 'vitest';
import {
  createDeliveryHarness,
  type DeliveryHarness,
  writeLabelledRows,
} from '../../../tests/support/delivery-harness.ts';
import { describeDatabases } from '../../../tests/support/index.ts';
import { tinyClassifier } from '../../../tests/support/tiny-model.ts';

let heldOut: string;
beforeAll(async () => {
  heldOut = (await writeLabelledRows({})).path;
});

describeDatabases('a project that names who approves', (openDatabase) => {
  let harness: DeliveryHarness;
  let approve: unknown;
  let gate: object | undefined;

  beforeEach(async () => {
    approve = ['ann', 'bob'];
    gate = {};
    harness = await createDeliveryHarness(await openDatabase(), {
      policyOf: (name) => (name === 'm' ? { gate, rollout: { canary: [50, 100] }, approve } : undefined),
    });
    return () => harness.close();
  });

  const as = (actor: string, path: string, body: object = {}) =>
    harness.ask('POST', `/api/v1/models/m/${path}`, body, { 'x-tidemill-actor': actor });

  it('lets only them promote or pass a step, and nobody what they made or began themselves', async () => {
    await harness.register(tinyClassifier({ weights: [3, -3] }), heldOut);
    const { model_versions } = await harness.model();
    const { source, run_id } = model_versions[0];
    const created = { name: 'm', source, run_id, user_id: 'ann' };
    expect((await harness.mlflow('/model-versions/create', created)).status).toBe(200);
    const eve = await as('eve', 'promote', { version: '1' });
    expect(eve.status).toBe(403);
    expect(eve.body.message).toBe("eve may not promote m/1: the project's approve names ann, bob");
    expect((await as('ann', 'promote', { version: '1' })).body.outcome).toBe('promoted');
    const own = await as('ann', 'promote', { version: '2', force: true, reason: 'mine' });
    expect(own.status).toBe(403);
    expect(own.body.message).toBe('ann may not promote m/2: ann made it, so bob must');
    expect((await as('bob', 'promote', { version: '2', force: true, reason: 'seen' })).body.outcome).toBe(
      'rollout',
    );
    const skipped = await as('bob', 'rollouts/current/resume', { skip: true });
    expect(skipped.status).toBe(403);
    expect(skipped.body.message).toContain('bob began it, so ann must');
    expect((await as('eve', 'rollouts/current/pause')).status).toBe(200);
    expect((await as('eve', 'rollouts/current/resume')).status).toBe(200);
    expect((await as('ann', 'rollouts/current/resume', { skip: true })).body.state).toBe('watching');
    expect((await as('eve', 'rollback')).status).toBe(200);
    expect((await harness.decisions()).some(({ actor }: { actor: string }) => actor === 'eve')).toBe(true);
  });

  it('lets anybody but who made it where it names nobody, and the platform always', async () => {
    approve = true;
    await harness.register(tinyClassifier({ weights: [3, -3] }), heldOut);
    const { model_versions } = await harness.model();
    const { source, run_id } = model_versions[0];
    await harness.mlflow('/model-versions/create', { name: 'm', source, run_id, user_id: 'eve' });
    expect((await as('eve', 'promote', { version: '2' })).body.message).toBe(
      'eve may not promote m/2: eve made it, so somebody else must',
    );
    const byPlatform = await harness.delivery.promote({ name: 'm', version: 2, actor: 'tidemill' });
    expect(byPlatform.outcome).toBe('promoted');
    approve = false;
    expect((await as('eve', 'promote', { version: '1', force: true, reason: 'mine' })).status).toBe(200);
    const told = (await harness.delivery.explain('m')).find(({ source: key }) => key === 'approve');
    expect(told).toMatchObject({ value: 'anybody', isDefault: true });
  });

  it('leaves no way past it: no alias or stage, no other name in between, no deletion of what serves or of its model', async () => {
    approve = undefined;
    await harness.register(tinyClassifier({ weights: [3, -3] }), heldOut);
    await harness.register(tinyClassifier({ weights: [-3, 3] }), heldOut);
    await harness.promote('1');
    gate = undefined;
    approve = ['ann', 'bob'];
    const refused = async (path: string, body: object, method: 'POST' | 'DELETE' = 'POST') => {
      const { status, body: answer } = await harness.ask(method, `/api/2.0/mlflow${path}`, body);
      expect([path, status]).toEqual([path, 409]);
      expect(answer.message).toContain("is decided by the project's approve");
    };
    await refused('/registered-models/alias', { name: 'm', alias: 'champion', version: '2' });
    await refused('/registered-models/alias', { name: 'm', alias: 'champion' }, 'DELETE');
    await refused('/registered-models/rename', { name: 'm', new_name: 'n' });
    await refused('/registered-models/rename', { name: 'other', new_name: 'm' });
    // Where no alias is, the newest version in stage Production would serve.
    const stage = { name: 'm', version: '2', stage: 'Production', archive_existing_versions: false };
    expect((await harness.mlflow('/model-versions/transition-stage', stage)).status).toBe(200);
    await refused('/model-versions/delete', { name: 'm', version: '1' }, 'DELETE');
    await refused('/registered-models/delete', { name: 'm' }, 'DELETE');
    expect((await harness.model()).champion.version).toBe('1');
  });
});
