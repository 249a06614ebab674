/**
 * A reporter for node:test that writes one line of JSON for each test and each piece of output: what the test
 * runner reads. Suites are not counted, unless one fails by itself (a hook).
 */
import { inspect } from 'node:util';
import type { TestEvent } from 'node:test/reporters';

/** One line. `text` is the error, the reason of a skip, or the output. */
export interface Report {
  readonly verdict: 'passed' | 'failed' | 'skipped' | 'output';
  readonly name: string;
  readonly text: string;
}

export default async function* reportLines(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  /** Names of the suites and tests around the one that is being reported. */
  const path: string[] = [];
  for await (const event of source) {
    if (event.type === 'test:start') {
      path.length = event.data.nesting;
      path.push(event.data.name);
    }
    const report = reportOf(event, path);
    if (report !== undefined) yield `${JSON.stringify(report)}\n`;
  }
}

function reportOf(event: TestEvent, path: readonly string[]): Report | undefined {
  switch (event.type) {
    case 'test:stdout':
    case 'test:stderr':
      return { verdict: 'output', name: '', text: event.data.message };
    case 'test:pass': {
      const { name, nesting, details, skip } = event.data;
      if (details.type === 'suite') return undefined;
      const full = [...path.slice(0, nesting), name].join(' > ');
      if (skip !== undefined)
        return { verdict: 'skipped', name: full, text: typeof skip === 'string' ? skip : '' };
      // A file without a test is reported as if it were one.
      if (nesting === 0 && name === event.data.file)
        return { verdict: 'failed', name, text: 'no test in this file' };
      return { verdict: 'passed', name: full, text: '' };
    }
    case 'test:fail': {
      const { name, nesting, details } = event.data;
      const error = details.error as Error & { failureType?: string };
      // Its own tests are reported already.
      if (error.failureType === 'subtestsFailed' && details.type === 'suite') return undefined;
      const full = [...path.slice(0, nesting), name].join(' > ');
      return { verdict: 'failed', name: full, text: errorText(error.cause ?? error) };
    }
    default:
      return undefined;
  }
}

/** The error as Node prints it, without the frames of Node itself. */
function errorText(error: unknown): string {
  if (!(error instanceof Error)) return inspect(error);
  const own = (error.stack ?? error.message).split('\n').filter((line) => !/^ +at .*\(?node:/.test(line));
  const cause = error.cause === undefined ? '' : `\ncaused by ${inspect(error.cause)}`;
  return own.join('\n') + cause;
}
