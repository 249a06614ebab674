// `doorbell demo`: the options of the demonstration, which host/demo shows.

import type { Command } from 'commander';
import { EXIT_FAILURE, EXIT_OK } from './exit.ts';
import type { CommandContext } from './program.ts';

const DETAILS = `
Starts a target on a disk of 256 MiB in build/demo, boots a Linux guest on it in QEMU, lets the guest write and read
verified data, and prints what both sides saw. QEMU, kernel and tools are taken from this machine or fetched from
Debian's packages into build/; nothing else is changed, and root is not needed.

On a terminal a shell in the guest is left at the end. Exit code 0 means that all data verified.
`;

export function registerDemo(program: Command, context: CommandContext): void {
  program
    .command('demo')
    .summary('see it work: a Linux guest in QEMU on a small disk')
    .description('Shows doorbell at work with a Linux guest in QEMU.')
    .option('--no-shell', 'do not leave a shell in the guest (there is none without a terminal anyway)')
    .addHelpText('after', DETAILS)
    .action(async ({ shell }: { shell: boolean }) => {
      const { runDemo } = await import('../demo/demo.ts');
      const terminal = process.stdin.isTTY && process.stdout.isTTY;
      const verified = await runDemo({ shell: shell && terminal, say: context.print });
      context.exitCode = verified ? EXIT_OK : EXIT_FAILURE;
    });
}
