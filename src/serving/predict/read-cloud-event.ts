import type { IncomingHttpHeaders } from 'node:http';
import { parseMoment } from '../../models/index.ts';

export interface CloudEvent {
  /** The attributes as JSON text. */
  text: string;
  /** Its `time`, when it has a valid one. */
  timeMs: number | undefined;
}

const MOST_VALUE_LENGTH = 1000;

/** The attributes of a CloudEvent in binary mode: the `ce-*` headers, percent-decoded as its HTTP binding says. */
export function readCloudEvent(headers: IncomingHttpHeaders): CloudEvent {
  const attributes: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (name.startsWith('ce-') && name.length > 3 && typeof value === 'string') {
      attributes[name.slice(3)] = decoded(value).slice(0, MOST_VALUE_LENGTH);
    }
  }
  const timeMs = parseMoment(attributes['time'] ?? '');
  return { text: JSON.stringify(attributes), timeMs: Number.isNaN(timeMs) ? undefined : timeMs };
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
