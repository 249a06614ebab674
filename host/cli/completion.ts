// `doorbell completion`: scripts by which a shell completes command lines, made from the program itself, so that they
// know every subcommand and option, and need no process to be started at a press of Tab.

import { Argument, type Command } from 'commander';
import type { CommandContext } from './program.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

const DETAILS = `
Where to put it:
  bash   doorbell completion bash > ~/.local/share/bash-completion/completions/doorbell
  zsh    doorbell completion zsh > ~/.zsh/_doorbell      a directory of fpath, before compinit
  fish   doorbell completion fish > ~/.config/fish/completions/doorbell.fish
`;

export function registerCompletion(program: Command, context: CommandContext): void {
  program
    .command('completion')
    .summary('print a completion script for a shell')
    .description('Prints a script by which a shell completes command lines of doorbell.')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .addHelpText('after', DETAILS)
    .action((shell: (typeof SHELLS)[number]) => {
      for (const line of completionScript(program, shell)) context.print(line);
    });
}

/** A command with the words that lead to it, `['ctl', 'save']`. */
interface Node {
  readonly path: readonly string[];
  readonly command: Command;
}

export function completionScript(program: Command, shell: (typeof SHELLS)[number]): string[] {
  const nodes = nodesOf(program, []);
  switch (shell) {
    case 'bash':
      return bashScript(nodes);
    case 'zsh':
      return ['#compdef doorbell', 'autoload -U +X bashcompinit && bashcompinit', ...bashScript(nodes)];
    case 'fish':
      return fishScript(nodes);
  }
}

function nodesOf(command: Command, path: readonly string[]): Node[] {
  const below = command.commands.flatMap((each) => nodesOf(each, [...path, each.name()]));
  return [{ path, command }, ...below];
}

/** Options of a command, and of those above it. */
function optionsOf(command: Command): readonly { flag: string; description: string; takesValue: boolean }[] {
  const own = command.options.map(({ long, short, description, required, optional }) => ({
    flag: long ?? short ?? '',
    description,
    takesValue: required || optional,
  }));
  return [...own, { flag: '--help', description: 'print help', takesValue: false }];
}

function wordsOf({ command }: Node): string {
  const subcommands = command.commands.map((each) => each.name());
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  return [...subcommands, ...choices, ...optionsOf(command).map(({ flag }) => flag)].join(' ');
}

function bashScript(nodes: readonly Node[]): string[] {
  const paths = nodes.map(({ path }) => path.join(' ')).filter((text) => text !== '');
  return [
    '# Completes command lines of doorbell.',
    '_doorbell() {',
    '  local word path="" try',
    '  COMPREPLY=()',
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    '    try="${path:+$path }$word"',
    '    case "$try" in',
    `      ${paths.map((text) => `"${text}"`).join(' | ')}) path="$try" ;;`,
    '    esac',
    '  done',
    '  local words=""',
    '  case "$path" in',
    ...nodes.map((node) => `    "${node.path.join(' ')}") words="${wordsOf(node)}" ;;`),
    '  esac',
    '  # Nothing that fits: names of files, by -o default.',
    '  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))',
    '}',
    'complete -o default -F _doorbell doorbell',
  ];
}

function fishScript(nodes: readonly Node[]): string[] {
  const lines = ['# Completes command lines of doorbell.'];
  for (const { path, command } of nodes) {
    const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`);
    const below = command.commands.map((each) => each.name());
    const open = below.length > 0 ? [`not __fish_seen_subcommand_from ${below.join(' ')}`] : [];
    const here = [...seen, ...open].join('; and ') || 'true';
    for (const each of command.commands) {
      const text = quote(each.summary() || each.description());
      lines.push(`complete -c doorbell -f -n '${here}' -a ${each.name()} -d ${text}`);
    }
    for (const choice of command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? [])) {
      lines.push(`complete -c doorbell -f -n '${here}' -a ${choice}`);
    }
    for (const { flag, description, takesValue } of optionsOf(command)) {
      const value = takesValue ? ' -r' : '';
      const when = seen.join('; and ') || 'true';
      lines.push(`complete -c doorbell -n '${when}' -l ${flag.slice(2)}${value} -d ${quote(description)}`);
    }
  }
  return lines;
}

/** One word of fish. */
function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
