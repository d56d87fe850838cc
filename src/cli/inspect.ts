import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Act } from './terminal/act.ts';
import { CliError } from './terminal/cli-error.ts';
import { withExamples } from './terminal/options.ts';
import { formatBytes } from './terminal/terminal.ts';

const CATEGORIES_SHOWN = 6;

export function configureInspect(command: Command, act: Act): void {
  command.argument('<file>', 'an ONNX file').action(
    act(async (terminal, file: string) => {
      const path = resolve(terminal.io.cwd, file);
      const bytes = await readFile(path).catch((error: Error) => {
        throw new CliError(`cannot read ${file}: ${error.message}`);
      });
      const { describeOnnx } = await import('../models/index.ts');
      const found = describeOnnx(bytes);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      terminal.document({
        file: path,
        sha256,
        size_bytes: found.sizeBytes,
        parameters_bytes: found.parametersBytes,
        ir_version: found.irVersion,
        producer: found.producer,
        framework: found.framework,
        opsets: found.opsets,
        inputs: found.inputs,
        outputs: found.outputs,
        node_counts: found.nodeCounts,
        signature: found.signature,
        signature_source: found.signatureSource,
        problem: found.problem,
        notes: found.notes,
        metadata: found.metadata,
      });
      const { colors } = terminal;
      terminal.line(
        `${colors.bold(file)}  ${formatBytes(found.sizeBytes)}, of which parameters ${formatBytes(found.parametersBytes)}`,
      );
      terminal.line(`sha256     ${sha256}`);
      terminal.line(`made by    ${found.framework ?? (found.producer || 'unknown')}`);
      terminal.line(
        `opsets     ${Object.entries(found.opsets)
          .map(([domain, version]) => `${domain} ${version}`)
          .join(', ')}`,
      );
      terminal.line(
        `nodes      ${Object.entries(found.nodeCounts)
          .map(([name, count]) => `${count} ${name}`)
          .join(', ')}`,
      );
      const shape = (value: { name: string; elementType?: string; dims?: unknown[] }) => describe(value);
      terminal.line(`inputs     ${found.inputs.map(shape).join(', ')}`);
      terminal.line(`outputs    ${found.outputs.map(shape).join(', ')}`);
      if (found.signature === undefined) {
        terminal.line();
        terminal.line(colors.yellow(`cannot be served: ${found.problem ?? 'it has no signature'}`));
        return;
      }
      const { columns, output } = found.signature;
      terminal.line();
      terminal.line(
        `answers ${output.target} (${output.task})${output.task === 'regression' ? '' : `: ${output.classes.join(', ')}`}${found.signatureSource === 'inferred' ? ', inferred from the graph' : ''}`,
      );
      terminal.table(
        ['column', 'type', 'missing', 'categories'],
        columns.map(({ name, type, nullable, categories }) => [
          name,
          type,
          nullable ? 'yes' : 'no',
          categories === undefined ? '' : listCategories(categories),
        ]),
      );
      for (const note of found.notes) terminal.line(`note: ${note}`);
    }),
  );
  withExamples(command, [
    ['tidemill inspect model.onnx', ''],
    ['tidemill inspect model.onnx --json', 'also the metadata'],
  ]);
}

function describe(value: object): string {
  const { name, ...rest } = value as { name: string } & Record<string, unknown>;
  const parts = Object.values(rest).map((part) =>
    Array.isArray(part) ? `[${part.join(', ')}]` : String(part),
  );
  return `${name} ${parts.join(' ')}`;
}

function listCategories(categories: string[]): string {
  const shown = categories.slice(0, CATEGORIES_SHOWN).join(', ');
  return categories.length > CATEGORIES_SHOWN ? `${shown}, … (${categories.length})` : shown;
}
