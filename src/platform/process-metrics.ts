import { readdirSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

/** The process's own metrics, under the names that Prometheus clients share; read at the scrape, free in between. */
export function processMetrics(): string {
  const cpu = process.cpuUsage();
  const memory = process.memoryUsage();
  const loop = performance.eventLoopUtilization();
  const startSeconds = performance.timeOrigin / 1000;
  return [
    metric(
      'process_cpu_seconds_total',
      'counter',
      'CPU time used, in seconds.',
      (cpu.user + cpu.system) / 1e6,
    ),
    metric('process_start_time_seconds', 'gauge', 'Start, in seconds since the Unix epoch.', startSeconds),
    metric('process_resident_memory_bytes', 'gauge', 'Resident memory.', memory.rss),
    metric('nodejs_heap_size_used_bytes', 'gauge', 'JavaScript heap in use.', memory.heapUsed),
    metric('nodejs_heap_size_total_bytes', 'gauge', 'JavaScript heap reserved.', memory.heapTotal),
    metric('nodejs_external_memory_bytes', 'gauge', 'Memory of buffers outside the heap.', memory.external),
    metric(
      'nodejs_eventloop_active_seconds_total',
      'counter',
      'Time that the event loop was busy.',
      loop.active / 1000,
    ),
    openFiles(),
  ].join('');
}

function metric(name: string, type: string, help: string, value: number): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`;
}

function openFiles(): string {
  try {
    const count = readdirSync('/proc/self/fd').length;
    return metric('process_open_fds', 'gauge', 'Open file descriptors.', count);
  } catch {
    return ''; // Only Linux tells.
  }
}
