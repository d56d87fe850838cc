import { describe, expect, it } from 'vitest';
import { describeOnnx } from '../signature/describe-onnx.ts';
import { addMetadata, readMetadata, readSignature, SIGNATURE_KEY } from '../signature/read-signature.ts';
import { OnnxGraphBuilder } from './build-onnx-graph.ts';
import { encodeMessage } from './encode-message.ts';
import { attributeMessage, graphMessage, modelHeaderMessage } from './onnx-schema.ts';

type Graph = Parameters<typeof encodeMessage<typeof graphMessage>>[1];

const value = (name: string) => ({
  name,
  type: { tensor: { elementType: 1, shape: { dimensions: [{ parameter: 'n' }, { value: 1 }] } } },
});
const model = (graph: Graph = {}): Uint8Array =>
  encodeMessage(modelHeaderMessage, {
    irVersion: 8,
    graph: encodeMessage(graphMessage, { inputs: [value('x')], outputs: [value('y')], ...graph }),
  });
const repeated = (bytes: readonly number[], times: number): Uint8Array =>
  new Uint8Array(Buffer.alloc(bytes.length * times, Buffer.from(bytes)));
const joined = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** Files that are small beside what reading all of them would take. */
describe('a file made to keep its reader busy is refused', () => {
  it('for millions of entries of metadata', () => {
    const entries = repeated([0x72, 0x04, 0x0a, 0x00, 0x12, 0x00], 2_000_000);
    expect(() => readMetadata(joined(model(), entries))).toThrow('more than 1000000 fields');
    expect(() => describeOnnx(joined(model(), entries))).toThrow('more than 4000000 fields');
  });

  it('for millions of fields that nobody knows', () => {
    const unknown = repeated([0xf8, 0x07, 0x00], 3_000_000);
    expect(() => readSignature(joined(model(), unknown))).toThrow('more than 1000000 fields');
  });

  it('for millions of nodes', () => {
    const graph = joined(encodeMessage(graphMessage, {}), repeated([0x0a, 0x00], 3_000_000));
    const file = encodeMessage(modelHeaderMessage, { irVersion: 8, graph });
    expect(() => readSignature(file)).toThrow('more than 4000000 fields');
  });

  it('for a list of millions of classes', () => {
    const ints = Int32Array.from({ length: 3_000_000 }, (_, i) => i);
    const attribute = encodeMessage(attributeMessage, { name: 'classlabels_int64s', ints, type: 7 });
    const nodes = [{ opType: 'LinearClassifier', outputs: ['y'], attributes: [attribute] }];
    const label = { name: 'l', type: { tensor: { elementType: 7, shape: { dimensions: [{ value: 1 }] } } } };
    expect(() => readSignature(model({ nodes, outputs: [value('y'), label] }))).toThrow(
      'more than 2000000 fields',
    );
  });

  it('for a signature of more columns than any table has', () => {
    const columns = Array.from({ length: 10_001 }, (_, i) => ({ name: `c${i}`, type: 'double' }));
    const file = addMetadata(model(), { [SIGNATURE_KEY]: JSON.stringify({ columns }) });
    expect(() => readSignature(file)).toThrow('has 10001 columns, and at most 10000 are taken');
    const long = addMetadata(model(), { [SIGNATURE_KEY]: ' '.repeat(17 * 2 ** 20) });
    expect(() => readSignature(long)).toThrow('has 17825792 characters, and at most 16777216 are read');
  });
});

describe('a graph of many nodes', () => {
  it('is followed back to its start in one walk', () => {
    const graph = new OnnxGraphBuilder();
    let last = graph.input('x', 'float32', ['rows', 1]);
    for (let i = 0; i < 100_000; i++) last = graph.node('Identity', [last], `v${i}`);
    graph.output(last, 'float32', ['rows', 1]);
    expect(readSignature(graph.encode({})).output).toMatchObject({ task: 'regression', value: last });
  });
});
