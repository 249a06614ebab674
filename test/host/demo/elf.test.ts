/**
 * Reading and dropping an ELF file's libraries, on a program that every machine has.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { dropLibraries, neededLibraries } from '../../../host/demo/elf.ts';

const PROGRAM = readFileSync('/bin/ls');

test('the libraries that a program needs', (context) => {
  const needed = neededLibraries(PROGRAM);
  if (needed.length === 0) {
    context.skip('/bin/ls is static');
    return;
  }
  assert.ok(needed.includes('libc.so.6'), needed.join(' '));
});

test('what is not a dynamic ELF file needs nothing and stays as it is', () => {
  for (const file of [Buffer.alloc(0), Buffer.from('#!/bin/sh\n'), Buffer.alloc(200)]) {
    assert.deepEqual(neededLibraries(file), []);
    assert.deepEqual(dropLibraries(file, ['libc.so.6']), file);
  }
});

test('a dropped library is gone, with its versions, and the others stay', () => {
  const needed = neededLibraries(PROGRAM);
  for (const library of needed) {
    const remaining = neededLibraries(dropLibraries(PROGRAM, [library]));
    assert.deepEqual(
      remaining,
      needed.filter((name) => name !== library),
    );
  }
});

test('a program from which nothing it uses was dropped still runs', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'doorbell-elf-'));
  try {
    const program = path.join(directory, 'ls');
    writeFileSync(program, dropLibraries(PROGRAM, ['libabsent.so.1']), { mode: 0o755 });
    assert.equal(spawnSync(program, [directory], { encoding: 'utf8' }).stdout, 'ls\n');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
