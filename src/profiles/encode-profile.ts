import { ApiError } from '../platform/index.ts';
import { createCounted, type MutableCounts, type Profile } from './profile.ts';
import { fingerprintOf, type ProfileSpec } from './profile-spec.ts';

const FORMAT = 1;

/**
 * A profile as base64: format, fingerprint of the spec, rows, then each column's counts as LEB128 varints in which a
 * run of zeros is a zero and its length. About a byte a bin.
 */
export function encodeProfile(profile: Profile): string {
  const writer = createWriter();
  writer.varint(FORMAT);
  writer.varint(fingerprintOf(profile.spec));
  writer.varint(profile.rows);
  for (const column of profile.columns as readonly MutableCounts[]) {
    writer.counts(column.bins);
    writer.varint(column.missing);
    if (column.kind === 'numeric') {
      writer.varint(column.nonFinite);
      writer.double(column.sum);
      writer.double(column.squares);
    } else {
      writer.varint(column.unseen);
      writer.counts(column.unseenValues);
    }
  }
  return writer.base64();
}

/** Reads what `encodeProfile` wrote; INVALID_PARAMETER_VALUE when it is damaged or of another spec. */
export function decodeProfile(spec: ProfileSpec, text: string): Profile {
  const reader = createReader(text);
  const format = reader.varint();
  if (format !== FORMAT) throw broken(`its format is ${format}, this version reads ${FORMAT}`);
  if (reader.varint() !== fingerprintOf(spec)) throw broken('it was counted by other columns or bins');
  const { profile, columns, setRows } = createCounted(spec);
  const rows = reader.varint();
  setRows(rows);
  for (const [i, column] of columns.entries()) {
    let counted = reader.counts(column.bins);
    column.missing = reader.varint();
    if (column.kind === 'numeric') {
      column.nonFinite = reader.varint();
      column.sum = reader.double();
      column.squares = reader.double();
    } else {
      column.unseen = reader.varint();
      counted += column.unseen;
      reader.counts(column.unseenValues);
    }
    column.count = counted;
    const total = counted + column.missing + column.nonFinite;
    if (total > rows) throw broken(`column ${spec.columns[i]!.name} counts ${total} of ${rows} rows`);
  }
  reader.end();
  return profile;
}

function broken(reason: string): ApiError {
  return new ApiError('INVALID_PARAMETER_VALUE', `The profile cannot be read: ${reason}`);
}

function createWriter() {
  let bytes = Buffer.allocUnsafe(4096);
  let length = 0;
  const reserve = (more: number) => {
    if (length + more <= bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(bytes.length * 2, length + more));
    bytes.copy(larger, 0, 0, length);
    bytes = larger;
  };
  const varint = (value: number) => {
    reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      bytes[length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    bytes[length++] = rest;
  };
  return {
    varint,
    double(value: number) {
      reserve(8);
      length = bytes.writeDoubleLE(value, length);
    },
    counts(values: Float64Array) {
      for (let i = 0; i < values.length; i++) {
        varint(values[i]!);
        if (values[i] !== 0) continue;
        const first = i;
        while (values[i + 1] === 0) i++;
        varint(i - first);
      }
    },
    base64: () => bytes.toString('base64', 0, length),
  };
}

function createReader(text: string) {
  const bytes = Buffer.from(text, 'base64');
  let at = 0;
  const varint = () => {
    let value = 0;
    let unit = 1;
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined) throw broken(`it ends after ${bytes.length} bytes`);
      value += (byte & 0x7f) * unit;
      if (value > Number.MAX_SAFE_INTEGER) throw broken('a count is above 2^53');
      if (byte < 0x80) return value;
      unit *= 0x80;
    }
  };
  return {
    varint,
    double() {
      if (at + 8 > bytes.length) throw broken(`it ends after ${bytes.length} bytes`);
      at += 8;
      return bytes.readDoubleLE(at - 8);
    },
    /** Fills `values` and returns their sum. */
    counts(values: Float64Array) {
      let sum = 0;
      for (let i = 0; i < values.length; i++) {
        const value = varint();
        values[i] = value;
        sum += value;
        if (value !== 0) continue;
        i += varint();
        if (i >= values.length) throw broken('it has more bins than its spec');
      }
      return sum;
    },
    end() {
      if (at !== bytes.length) throw broken(`${bytes.length - at} bytes are left over`);
    },
  };
}
