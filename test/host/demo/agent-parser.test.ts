/**
 * The framing of command output on the guest's serial port.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentParser, type AgentEvent } from '../../../host/demo/agent-parser.ts';

const RS = '\x1e';
const ID = '0123456789abcdef';

/** Events with adjacent output joined, as text. */
function summarize(events: readonly AgentEvent[]): string[] {
  const lines: string[] = [];
  let output = '';
  const flush = (): void => {
    if (output !== '') lines.push(`output ${output}`);
    output = '';
  };
  for (const event of events) {
    if (event.kind === 'output') {
      output += event.bytes.toString('latin1');
      continue;
    }
    flush();
    lines.push(event.kind === 'end' ? `end ${event.status}` : event.kind);
  }
  flush();
  return lines;
}

function parse(chunks: readonly string[], id: string | undefined = ID): string[] {
  const parser = new AgentParser();
  parser.expect(id);
  return summarize(chunks.flatMap((chunk) => parser.push(Buffer.from(chunk, 'latin1'))));
}

test('output lies between begin and end', () => {
  const stream = `${RS}begin ${ID}\nline\nno newline${RS}end ${ID} 7\n`;
  assert.deepEqual(parse([stream]), ['begin', 'output line\nno newline', 'end 7']);
});

test('a stream may be cut anywhere', () => {
  const stream = `${RS}ready\n${RS}begin ${ID}\na${RS}b\n${RS}${RS}end ${ID} 0\n`;
  const expected = ['ready', 'begin', `output a${RS}b\n${RS}`, 'end 0'];
  for (let cut = 0; cut <= stream.length; cut++) {
    assert.deepEqual(parse([stream.slice(0, cut), stream.slice(cut)]), expected);
  }
  assert.deepEqual(parse(Array.from(stream)), expected);
});

test('a message of another command is output', () => {
  const stream = `${RS}end 1111111111111111 0\n${RS}end ${ID} 1\n`;
  assert.deepEqual(parse([stream]), [`output ${RS}end 1111111111111111 0\n`, 'end 1']);
});

test('without a command only ready is a message', () => {
  assert.deepEqual(parse([`${RS}begin undefined\n${RS}ready\n`], undefined), [
    `output ${RS}begin undefined\n`,
    'ready',
  ]);
});

test('a malformed message is output', () => {
  for (const message of [`${RS}end ${ID}\n`, `${RS}end ${ID} x\n`, `${RS}\n`, `${RS}ready ${ID}\n`]) {
    assert.deepEqual(parse([message]), [`output ${message}`]);
  }
});

test('a mark followed by a long line does not hold output back', () => {
  const long = `${RS}${'x'.repeat(100)}`;
  assert.deepEqual(parse([long]), [`output ${long}`]);
});

test('bytes that are not text pass unchanged', () => {
  const all = String.fromCharCode(...Array.from({ length: 256 }, (_, index) => index));
  assert.deepEqual(parse([`${RS}begin ${ID}\n${all}${RS}end ${ID} 0\n`]), [
    'begin',
    `output ${all}`,
    'end 0',
  ]);
});
