// The command line of doorbell: its subcommands, one file each.

import { Command } from 'commander';
import { VERSION } from '../version.ts';
import { registerDemo } from './demo.ts';
import { registerCompletion } from './completion.ts';
import { registerCtl } from './ctl.ts';
import { registerDoctor } from './doctor.ts';
import { explain } from './exit.ts';
import { registerLibvirtXml } from './libvirt-xml.ts';
import { registerQemuArgs } from './qemu-args.ts';
import { registerServe } from './serve.ts';
import { registerTop } from './top.ts';

/** Where a command leaves its exit code, and what it prints with. */
export interface CommandContext {
  /** One line on stdout, without its newline. */
  readonly print: (line: string) => void;
  exitCode: number;
}

const EPILOGUE = `
Exit codes:
  0  the command did what was asked (a target that drained after SIGINT or SIGTERM, too)
  1  something failed while it ran
  2  the command line, or something that it names, has to be changed
  130, 143  ended at once by a second SIGINT or SIGTERM

Every error is one line on stderr with a code in brackets; docs/errors.md lists them with their cures.

Example, in two terminals:
  doorbell serve --socket /tmp/nvme.sock --namespace file:disk.img,size=10G
  doorbell qemu-args --socket /tmp/nvme.sock --memory 2G      prints the options for qemu-system-x86_64
`;

/** Runs a command line (without the program's own name) to its end. Returns the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const context: CommandContext = {
    print: (line) => {
      process.stdout.write(`${line}\n`);
    },
    exitCode: 0,
  };
  try {
    await createProgram(context).parseAsync(args, { from: 'user' });
    return context.exitCode;
  } catch (error) {
    const { code, line } = explain(error);
    if (line !== undefined) process.stderr.write(`${line}\n`);
    return code;
  }
}

function createProgram(context: CommandContext): Command {
  const program = new Command('doorbell')
    .description('Serves NVMe controllers to virtual machines from user space.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', EPILOGUE)
    // What is wrong is told in one place, on one line: exit.ts.
    .configureOutput({ outputError: () => undefined })
    .exitOverride();
  registerServe(program, context);
  registerCtl(program, context);
  registerTop(program, context);
  registerQemuArgs(program, context);
  registerLibvirtXml(program, context);
  registerDoctor(program, context);
  registerDemo(program, context);
  registerCompletion(program, context);
  return program;
}
