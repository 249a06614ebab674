// The reactor thread: opens what is to be served and runs the loop until the main thread asks it to drain. It never
// returns to its own event loop, so all that it says leaves through the port.

import { receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads';
import { BlockError } from '../block/errors.ts';
import { UsageError } from '../config/usage-error.ts';
import { createLog, type RootLog } from '../log/log.ts';
import { native } from '../native.ts';
import { ReactorLoop } from '../reactor/loop.ts';
import { UringDenied, UringReactor } from '../reactor/uring.ts';
import { LiveTarget } from './live.ts';
import {
  REACTOR_THREAD,
  type Answers,
  type FromReactor,
  type ReactorStart,
  type Refusal,
  type Request,
  type ToReactor,
} from './messages.ts';

const start = workerData as ReactorStart;
const say = (message: FromReactor): void => {
  start.port.postMessage(message);
};

try {
  main(start);
} catch (error) {
  const refusal = refusalOf(error);
  if (refusal === undefined) throw error;
  say({ type: 'refused', ...refusal });
}

function main({ options, port, controlFd }: ReactorStart): void {
  native.threadName(REACTOR_THREAD);
  const log = createLog({
    level: options.logLevel,
    json: options.json,
    write: (line) => {
      say({ type: 'log', line });
    },
  });
  const reactor = new UringReactor();
  const loop = new ReactorLoop(reactor, { spinMicroseconds: options.spinMicroseconds });
  const target = new LiveTarget({ options, reactor, loop, log });
  reactor.watch(controlFd, () => {
    native.eventfdRead(controlFd);
    for (let message = nextMessage(port); message !== undefined; message = nextMessage(port)) {
      if (message.type === 'drain') target.drain();
      else if (message.type === 'end') target.end();
      else if (message.type === 'request') answer(message.number, message.request, target, log);
      else say({ type: 'statistics', statistics: target.statistics });
    }
  });
  say({ type: 'listening', summary: target.summary });
  loop.run();
  target.close();
  say({ type: 'drained', statistics: target.statistics });
}

function nextMessage(port: MessagePort): ToReactor | undefined {
  return (receiveMessageOnPort(port) as { message: ToReactor } | undefined)?.message;
}

function answer(number: number, request: Request, target: LiveTarget, log: RootLog): void {
  try {
    perform(request, target, log, (result) => {
      say({ type: 'done', number, answer: result });
    });
  } catch (error) {
    // What is asked must not end a target that serves others.
    const refusal = refusalOf(error) ?? { kind: 'failure', code: 'INTERNAL_ERROR', message: String(error) };
    if (refusal.code === 'INTERNAL_ERROR')
      log.error('a request of the control socket failed', { cause: String(error) });
    say({ type: 'failed', number, refusal });
  }
}

function perform(
  request: Request,
  target: LiveTarget,
  log: RootLog,
  done: (answer: Answers[keyof Answers]) => void,
): void {
  switch (request.kind) {
    case 'look':
      done(target.look());
      break;
    case 'log level':
      log.setLevel(request.level);
      done(undefined);
      break;
    case 'controller add':
      done(target.controllerAdd(request.subsystem, request.socket));
      break;
    case 'controller remove':
      target.controllerRemove(request.socketPath, () => {
        done(undefined);
      });
      break;
    case 'namespace add':
      done(target.namespaceAdd(request.subsystem, request.namespace));
      break;
    case 'namespace remove':
      target.namespaceRemove(request.subsystem, request.nsid);
      done(undefined);
      break;
  }
}

/** What can be told of an error to whoever asked; undefined: a mistake of the target. */
function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof UsageError) return { kind: 'usage', code: error.code, message: error.message };
  if (error instanceof BlockError || error instanceof UringDenied) {
    return { kind: 'failure', code: error.code, message: error.message };
  }
  return undefined;
}
