// The report: one Markdown table a section on stdout, and all samples as JSON in build/bench.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { buildPath } from '../../host/demo/checkout.ts';
import type { Effort, Figure, Section } from './figures.ts';

export interface Machine {
  readonly node: string;
  readonly kernel: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryGiB: number;
  /** Load averages of the last minute when the run began and ended: above the number of processors others ran too. */
  readonly loadBefore: number;
  readonly loadAfter: number;
}

export interface Report {
  readonly taken: string;
  readonly seconds: number;
  readonly machine: Machine;
  readonly effort: Effort;
  readonly sections: readonly Section[];
}

export function loadAverage(): number {
  return Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]);
}

export function describeMachine(loadBefore: number): Machine {
  return {
    node: process.version,
    kernel: os.release(),
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cpus: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    loadBefore,
    loadAfter: loadAverage(),
  };
}

/** The report as Markdown. */
export function reportText({ taken, seconds, machine, sections }: Report): string {
  const { node, kernel, cpu, cpus, memoryGiB, loadBefore, loadAfter } = machine;
  const lines = [
    `Taken ${taken} in ${Math.round(seconds)} s: Node.js ${node}, Linux ${kernel}, ` +
      `${cpus} × ${cpu}, ${memoryGiB} GiB; ` +
      `load average ${loadBefore} before and ${loadAfter} after. Medians with the best sample ` +
      'beside them; a ratio is the median of the ratios of samples taken one after the other.',
  ];
  for (const { title, method, figures, table } of sections) {
    lines.push('', `### ${title}`, '', method, '');
    if (table !== undefined) {
      lines.push(`| ${table.head.join(' | ')} |`, `| ---${' | ---:'.repeat(table.head.length - 1)} |`);
      for (const cells of table.rows) lines.push(`| ${cells.join(' | ')} |`);
      continue;
    }
    lines.push('| what | doorbell | (best) | compared with | (best) | ratio |');
    lines.push('| --- | ---: | ---: | ---: | ---: | ---: |');
    for (const each of figures) lines.push(row(each));
  }
  return `${lines.join('\n')}\n`;
}

function row({ name, value, best, unit, samples, reference, ratio }: Figure): string {
  const cells = [name, amount(value, unit), samples.length > 1 ? amount(best, unit) : ''];
  if (reference === undefined) cells.push('', '');
  else cells.push(`${reference.name}: ${amount(reference.value, unit)}`, amount(reference.best, unit));
  cells.push(ratio === undefined ? '' : ratio.toFixed(2));
  return `| ${cells.join(' | ')} |`;
}

/** Three digits that mean something. */
export function amount(value: number, unit: string): string {
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`.trim();
}

/** Writes build/bench/<time>.json; returns its path. */
export function reportSave(report: Report): string {
  mkdirSync(buildPath('bench'), { recursive: true });
  const file = buildPath('bench', `${report.taken.replaceAll(':', '-')}.json`);
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
  return file;
}
