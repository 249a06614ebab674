/**
 * The QMP client against a scripted QEMU.
 */
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { QmpClient, QmpError } from '../../../host/demo/qmp.ts';

interface Request {
  readonly execute: string;
  readonly id: number;
  readonly arguments?: object;
}

/** A stream whose other end answers each request with what `answer` returns. */
function scripted(answer: (request: Request) => string): Duplex {
  return new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString().trim().split('\n')) this.push(answer(JSON.parse(line) as Request));
      done();
    },
  });
}

test('answers reach their commands, events are kept', async () => {
  const stream = scripted(({ execute, id }) => {
    if (execute === 'stop') return `{"event":"STOP","data":{}}\n{"return":{},"id":${id}}\n`;
    if (execute === 'bad') return `{"error":{"class":"CommandNotFound","desc":"no"},"id":${id}}\n`;
    return `{"return":"${execute}","id":${id}}\n`;
  });
  stream.push('{"QMP":{"version":{}');
  stream.push(',"capabilities":[]}}\n');
  const client = new QmpClient(stream);
  assert.equal(await client.execute('query', { a: 1 }), 'query');
  assert.deepEqual(await client.execute('stop'), {});
  assert.deepEqual(client.events, [{ event: 'STOP', data: {} }]);
  await assert.rejects(client.execute('bad'), (error: unknown) => {
    assert.ok(error instanceof QmpError);
    assert.equal(error.errorClass, 'CommandNotFound');
    return true;
  });
});

test('when QEMU ends, what waits is rejected, and so is what comes later', async () => {
  const stream = scripted(() => '');
  const client = new QmpClient(stream);
  const waiting = client.execute('query');
  stream.destroy();
  await assert.rejects(waiting, /closed/);
  await assert.rejects(client.execute('query'), /closed/);
});
