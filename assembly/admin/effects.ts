// What is supported, in the form of two log pages: Commands Supported and Effects (05h, Base 5.16.1.6) and Feature
// Identifiers Supported and Effects (12h, Base 5.16.1.17). The lists here are the dispatch tables read aloud.

import { featureNamespaceSpecific, featureSupported } from './features.ts';
import {
  EFFECT_CONTENT_CHANGE,
  EFFECT_SCOPE_CONTROLLER,
  EFFECT_SCOPE_NAMESPACE,
  EFFECT_SUPPORTED,
  FEATURE_EFFECT_SCOPE_CONTROLLER,
  FEATURE_EFFECT_SCOPE_NAMESPACE,
  FEATURE_EFFECT_SUPPORTED,
  LOG_EFFECTS_ADMIN,
  LOG_EFFECTS_IO,
} from '../spec/nvme-logs.ts';
import {
  NVM_COMPARE,
  NVM_COPY,
  NVM_DATASET_MANAGEMENT,
  NVM_FLUSH,
  NVM_READ,
  NVM_VERIFY,
  NVM_WRITE,
  NVM_WRITE_UNCORRECTABLE,
  NVM_WRITE_ZEROES,
} from '../spec/nvme.ts';
import { adminSupported } from './index.ts';

/** Writes 4,096 bytes over zeros: a dword for each admin opcode, then one for each I/O opcode. */
export function effectsFill(at: usize): void {
  for (let opcode: u32 = 0; opcode < 256; opcode++) {
    if (!adminSupported(opcode)) continue;
    store<u32>(at + LOG_EFFECTS_ADMIN + (opcode << 2), EFFECT_SUPPORTED | EFFECT_SCOPE_CONTROLLER);
  }
  ioEffect(at, NVM_FLUSH, 0);
  ioEffect(at, NVM_WRITE, EFFECT_CONTENT_CHANGE);
  ioEffect(at, NVM_READ, 0);
  ioEffect(at, NVM_WRITE_UNCORRECTABLE, EFFECT_CONTENT_CHANGE);
  ioEffect(at, NVM_COMPARE, 0);
  ioEffect(at, NVM_WRITE_ZEROES, EFFECT_CONTENT_CHANGE);
  ioEffect(at, NVM_DATASET_MANAGEMENT, EFFECT_CONTENT_CHANGE);
  ioEffect(at, NVM_VERIFY, 0);
  ioEffect(at, NVM_COPY, EFFECT_CONTENT_CHANGE);
}

/** Writes 1,024 bytes over zeros: a dword for each feature identifier. */
export function featuresFill(at: usize): void {
  for (let fid: u32 = 0; fid < 256; fid++) {
    if (!featureSupported(fid)) continue;
    const scope = featureNamespaceSpecific(fid)
      ? FEATURE_EFFECT_SCOPE_NAMESPACE
      : FEATURE_EFFECT_SCOPE_CONTROLLER;
    store<u32>(at + (fid << 2), FEATURE_EFFECT_SUPPORTED | scope);
  }
}

function ioEffect(at: usize, opcode: u32, effect: u32): void {
  store<u32>(at + LOG_EFFECTS_IO + (opcode << 2), EFFECT_SUPPORTED | EFFECT_SCOPE_NAMESPACE | effect);
}
