// Tests that run in Wasm beside the code they test: test/core/**/*.spec.ts, run by `asp`. The core's
// areas and windows have fixed addresses, so what the test runner itself allocates begins at 32 MiB (memoryBase in
// as-pect.asconfig.json).

export default {
  entries: ['test/core/**/*.spec.ts'],
  include: [],
  disclude: [/node_modules/],
  async instantiate(memory, createImports, instantiate, binary) {
    return instantiate(binary, createImports({ env: { memory } }));
  },
  outputBinary: false,
};
