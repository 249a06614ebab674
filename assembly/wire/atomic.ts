// Loads and stores that the guest, or a process that takes this image over, must see in order. A build without the
// threads feature (for tools that know no atomics) uses plain ones: nothing else runs beside it.

/** Reads what the guest may be writing: exactly once, and before everything that follows. */
export function loadAcquire(address: usize): u32 {
  if (ASC_FEATURE_THREADS) return atomic.load<u32>(address);
  return load<u32>(address);
}

/** Writes after everything that came before. */
export function storeRelease(address: usize, value: u32): void {
  if (ASC_FEATURE_THREADS) atomic.store<u32>(address, value);
  else store<u32>(address, value);
}

/** The same for 8 bytes. */
export function storeRelease64(address: usize, value: u64): void {
  if (ASC_FEATURE_THREADS) atomic.store<u64>(address, value);
  else store<u64>(address, value);
}

/**
 * Writes so that the value is visible before anything that `loadAcquire` reads afterwards: both are sequentially
 * consistent in WebAssembly. A fence would say it plainer, but the compiler's optimizer drops `atomic.fence`.
 */
export function storeBeforeLoads(address: usize, value: u32): void {
  if (ASC_FEATURE_THREADS) atomic.store<u32>(address, value);
  else store<u32>(address, value);
}

/** Copies one submission queue entry of 64 bytes, each byte read once. */
export function entryCopy(to: usize, from: usize): void {
  if (ASC_FEATURE_SIMD) {
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    v128.store(to, v128.load(from, 32), 32);
    v128.store(to, v128.load(from, 48), 48);
  } else {
    store<u64>(to, load<u64>(from));
    store<u64>(to, load<u64>(from, 8), 8);
    store<u64>(to, load<u64>(from, 16), 16);
    store<u64>(to, load<u64>(from, 24), 24);
    store<u64>(to, load<u64>(from, 32), 32);
    store<u64>(to, load<u64>(from, 40), 40);
    store<u64>(to, load<u64>(from, 48), 48);
    store<u64>(to, load<u64>(from, 56), 56);
  }
}
