// `doorbell doctor`: what this machine lacks, what makes a target slow on it, and how to mend it.

import type { Command } from 'commander';
import { WINDOW_COUNT_DEFAULT } from '../../assembly/abi/memory-map.ts';
import { parseInteger } from '../config/fields.ts';
import { collect } from './collect.ts';
import { EXIT_FAILURE, EXIT_OK } from './exit.ts';
import type { CommandContext } from './program.ts';

const DETAILS = `
Changes nothing. Exit code 1 means that something is missing that a target needs; what is merely slow does not count.

Examples:
  doorbell doctor
  doorbell doctor --controllers 200 --file /srv/vm1.img
`;

interface Options {
  readonly controllers: string;
  readonly windows: string;
  readonly file?: readonly string[];
  readonly json?: true;
}

export function registerDoctor(program: Command, context: CommandContext): void {
  program
    .command('doctor')
    .summary('what this machine lacks, and how to mend it')
    .description('Looks whether this machine has what a target needs, and what makes it fast.')
    .option('--controllers <n>', 'how many controllers are to be served', '1')
    .option('--windows <n>', 'as of serve', String(WINDOW_COUNT_DEFAULT))
    .option('--file <path>', 'look whether this file takes direct I/O; repeatable', collect)
    .option('--json', 'print a JSON array, one object a finding')
    .addHelpText('after', DETAILS)
    .action(async ({ controllers, windows, file, json }: Options) => {
      const needs = {
        controllers: parseInteger('--controllers', controllers, 1, 65_535),
        windows: parseInteger('--windows', windows, 2, 1024),
        files: file ?? [],
      };
      const { examine, thisMachine } = await import('../doctor/index.ts');
      const findings = examine(thisMachine, needs);
      context.exitCode = findings.some(({ verdict }) => verdict === 'missing') ? EXIT_FAILURE : EXIT_OK;
      if (json) {
        context.print(JSON.stringify(findings));
        return;
      }
      const width = Math.max(...findings.map(({ name }) => name.length));
      for (const { name, verdict, found, cure } of findings) {
        context.print(`${verdict.padEnd(7)}  ${name.padEnd(width)}  ${found}`);
        if (cure !== undefined) context.print(`${' '.repeat(9 + width)}  -> ${cure}`);
      }
    });
}
