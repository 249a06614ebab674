// `doorbell ctl`: looks at a running target and changes it, through its control socket.

import path from 'node:path';
import { type Command } from 'commander';
import { checkSocketPath } from '../config/socket-spec.ts';
import { formatSize } from '../config/size.ts';
import { UsageError } from '../config/usage-error.ts';
import { LOG_LEVELS } from '../log/log.ts';
import type { CommandContext } from './program.ts';
import { formatTable } from './table.ts';

/** Where the systemd unit has it. */
export const CONTROL_DEFAULT = '/run/doorbell/control.sock';

const DETAILS = `
The target has to be started with --control PATH, or "control" in its configuration file. Changes hold until it ends;
ctl save writes them to its configuration file, too.

Examples, --control PATH left out:
  doorbell ctl list                                   controllers and namespaces
  doorbell ctl queues
  doorbell ctl namespace-add file:vm7.img,size=10G    open a namespace ...
  doorbell ctl controller-add vm7.sock,namespaces=7   ... and show it to a new VM
  doorbell ctl controller-remove vm7.sock             drop that VM's controller
  doorbell ctl call queue.list '{"socket": "/run/doorbell/vm1.sock"}'
`;

type Call = (method: string, parameters?: object) => Promise<unknown>;
type Print = (line: string) => void;

/** How a result is shown to people. */
type Show = (result: never, print: Print) => void;

interface Options {
  readonly control: string;
  readonly json?: true;
}

export function registerCtl(program: Command, context: CommandContext): void {
  const ctl = program
    .command('ctl')
    .summary('look at a running target, and change it')
    .description('Talks to a running target through its control socket.')
    .option('--control <path>', "the target's control socket", CONTROL_DEFAULT)
    .option('--json', 'print what the target answers as JSON')
    .addHelpText('after', DETAILS);
  /** Runs `body` with a connection, and shows what came back. */
  const run = async (body: (call: Call) => Promise<unknown>, show: Show): Promise<void> => {
    const options = ctl.opts<Options>();
    const result = await withClient(options.control, body);
    if (options.json) context.print(JSON.stringify(result));
    else show(result as never, context.print);
  };
  registerLooks(ctl, run);
  registerChanges(ctl, run);
  registerTarget(ctl, run);
}

type Run = (body: (call: Call) => Promise<unknown>, show: Show) => Promise<void>;

function registerLooks(ctl: Command, run: Run): void {
  ctl
    .command('list')
    .description('controllers and namespaces')
    .action(() =>
      run(async (call) => {
        const [controllers, namespaces] = [await call('controller.list'), await call('namespace.list')];
        return { controllers, namespaces };
      }, showList),
    );
  ctl
    .command('queues')
    .description('queue pairs of all controllers, or of one')
    .argument('[socket]', "the controller's socket")
    .action((socket: string | undefined) =>
      run(
        (call) => call('queue.list', socket === undefined ? {} : { socket: path.resolve(socket) }),
        showQueues,
      ),
    );
  ctl
    .command('stats')
    .description('sums over the life of the target')
    .action(() => run((call) => call('statistics'), showValues));
}

function registerChanges(ctl: Command, run: Run): void {
  const subsystemOption = ['--subsystem <nqn>', 'which subsystem, where there are several'] as const;
  const inSubsystem = (nqn: string | undefined): object => (nqn === undefined ? {} : { subsystem: nqn });
  ctl
    .command('controller-add')
    .description('make a controller')
    .argument('<socket[,...]>', 'as --socket of serve')
    .option(...subsystemOption)
    .action((text: string, { subsystem }: { subsystem?: string }) =>
      run(async (call) => {
        const { controllerEntry } = await import('../config/file/index.ts');
        const entry = controllerEntry(text);
        const socket = checkSocketPath('socket', textOf(entry['socket']), process.cwd());
        return call('controller.add', { ...entry, socket, ...inSubsystem(subsystem) });
      }, showAddedController),
    );
  ctl
    .command('controller-remove')
    .description('drop a VM and end its controller')
    .argument('<socket>', "the controller's socket")
    .action((socket: string) =>
      run((call) => call('controller.remove', { socket: path.resolve(socket) }), showDone),
    );
  ctl
    .command('namespace-add')
    .description('open a namespace, for controllers that are added later')
    .argument('<spec>', 'as --namespace of serve')
    .option(...subsystemOption)
    .action((text: string, { subsystem }: { subsystem?: string }) =>
      run(async (call) => {
        const { namespaceEntry } = await import('../config/file/index.ts');
        const { parseNamespace } = await import('../config/namespace-spec.ts');
        // For its words: a mistyped SPEC is told as serve tells it.
        parseNamespace(text);
        const entry = namespaceEntry(text);
        const file = entry['path'];
        const absolute = typeof file === 'string' ? { path: path.resolve(file) } : {};
        return call('namespace.add', { ...entry, ...absolute, ...inSubsystem(subsystem) });
      }, showAddedNamespace),
    );
  ctl
    .command('namespace-remove')
    .description('close a namespace that no controller shows')
    .argument('<nsid>', 'its number')
    .option(...subsystemOption)
    .action((nsid: string, { subsystem }: { subsystem?: string }) =>
      run((call) => call('namespace.remove', { nsid: Number(nsid), ...inSubsystem(subsystem) }), showDone),
    );
}

function registerTarget(ctl: Command, run: Run): void {
  ctl
    .command('ping')
    .description('whether the target answers')
    .action(() => run((call) => call('ping'), showText));
  ctl
    .command('version')
    .description('what serves, and since when')
    .action(() => run((call) => call('version'), showValues));
  ctl
    .command('log-level')
    .description(`how much to log: ${LOG_LEVELS.join(', ')}`)
    .argument('<level>')
    .action((level: string) => run((call) => call('log.level', { level }), showDone));
  ctl
    .command('config')
    .description('the configuration as save would write it')
    .action(() => run((call) => call('config.get'), showJson));
  ctl
    .command('save')
    .description('write the configuration to its file, or to another')
    .argument('[file]')
    .option('--force', 'overwrite what somebody else wrote there')
    .action((file: string | undefined, { force }: { force?: true }) =>
      run(
        (call) =>
          call('config.save', {
            ...(file === undefined ? {} : { path: path.resolve(file) }),
            ...(force === undefined ? {} : { force }),
          }),
        showValues,
      ),
    );
  ctl
    .command('drain')
    .description('finish the requests under way and end the target')
    .action(() => run((call) => call('target.drain'), showDone));
  ctl
    .command('methods')
    .description('the methods of the control socket')
    .action(() => run((call) => call('methods'), showMethods));
  ctl
    .command('call')
    .description('call any method')
    .argument('<method>')
    .argument('[parameters]', 'a JSON object', '{}')
    .action((method: string, text: string) => {
      const parameters = parseParameters(text);
      return run((call) => call(method, parameters), showJson);
    });
}

async function withClient<T>(control: string, body: (call: Call) => Promise<T>): Promise<T> {
  const { ControlClient } = await import('../control/index.ts');
  const client = await ControlClient.connect(path.resolve(control));
  try {
    return await body((method, parameters) => client.call(method, parameters));
  } finally {
    client.close();
  }
}

/** The text that a grammar without other values has put there. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function parseParameters(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Told below.
  }
  throw new UsageError('OPTION_INVALID', `${text} is no JSON object: write '{"name": "value"}'`);
}

// ---- For people ----

interface NamespaceRow {
  nsid: number;
  label: string;
  blocks: number;
  blockSize: number;
  readOnly: boolean;
  sockets?: string[];
}

interface ControllerRow {
  cntlid: number;
  socketPath: string;
  protocol: string;
  connected: boolean;
  state: string;
  namespaces: number[];
  ioQueues: number;
  statistics: { requests: number; requestErrors: number };
}

interface QueueRow {
  socketPath: string;
  qid: number;
  cqid: number;
  vector: number;
  entries: number;
  head: number;
  tail: number;
  waiting: number;
  outstanding: number;
  commands: number;
}

function showList(
  { controllers, namespaces }: { controllers: ControllerRow[]; namespaces: NamespaceRow[] },
  print: Print,
): void {
  const heading = ['ID', 'SOCKET', 'PROTOCOL', 'VMM', 'STATE', 'NAMESPACES', 'QUEUES', 'REQUESTS', 'FAILED'];
  const rows = controllers.map((each) => [
    String(each.cntlid),
    each.socketPath,
    each.protocol,
    each.connected ? 'yes' : 'no',
    each.state,
    each.namespaces.join('+') || '-',
    String(each.ioQueues),
    String(each.statistics.requests),
    String(each.statistics.requestErrors),
  ]);
  formatTable(heading, rows).forEach(print);
  print('');
  const spaces = namespaces.map((each) => [
    String(each.nsid),
    each.label,
    formatSize(each.blocks * each.blockSize),
    String(each.blockSize),
    each.readOnly ? 'read-only' : 'read-write',
    each.sockets?.join(' ') || '-',
  ]);
  formatTable(['NSID', 'STORAGE', 'SIZE', 'BLOCK', 'ACCESS', 'SHOWN ON'], spaces).forEach(print);
}

function showQueues(queues: QueueRow[], print: Print): void {
  const names = [
    'qid',
    'cqid',
    'vector',
    'entries',
    'head',
    'tail',
    'waiting',
    'outstanding',
    'commands',
  ] as const;
  const rows = queues.map((each) => [each.socketPath, ...names.map((name) => String(each[name]))]);
  formatTable(['SOCKET', ...names.map((name) => name.toUpperCase())], rows).forEach(print);
}

function showAddedController(
  { cntlid, socketPath }: { cntlid: number; socketPath: string },
  print: Print,
): void {
  print(`controller ${cntlid} on ${socketPath}`);
}

function showAddedNamespace({ nsid, label, blocks, blockSize }: NamespaceRow, print: Print): void {
  print(`namespace ${nsid}: ${label}, ${formatSize(blocks * blockSize)}, blocks of ${blockSize}`);
}

function showMethods(methods: { name: string; summary: string }[], print: Print): void {
  formatTable(
    ['METHOD', 'WHAT IT DOES'],
    methods.map(({ name, summary }) => [name, summary]),
  ).forEach(print);
}

function showValues(values: Readonly<Record<string, unknown>>, print: Print): void {
  for (const [name, value] of Object.entries(values)) print(`${name}: ${String(value)}`);
}

function showJson(value: unknown, print: Print): void {
  print(JSON.stringify(value, undefined, 2));
}

function showText(value: unknown, print: Print): void {
  print(String(value));
}

function showDone(): void {
  // As cp(1) says nothing when all is well.
}
