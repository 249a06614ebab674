// How as-pect runs the tests of test/core: each file is compiled together with the parts of the core that it tests,
// and given one shared memory, which holds the core's areas below and as-pect's own data above (as-pect.asconfig.json).

/** 128 MiB, as in as-pect.asconfig.json. */
const PAGES = 2048;

export default {
  entries: ['test/core/**/*.spec.ts'],
  include: [],
  disclude: [/node_modules/],
  async instantiate(_memory, createImports, instantiate, binary) {
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
    return instantiate(binary, createImports({ env: { memory } }));
  },
  outputBinary: false,
};
