// @ts-check
/**
 * Lint rules: typescript-eslint's strict ones with types for what Node runs, without types for what the
 * AssemblyScript compiler reads, and the arrows between the folders (test/tidy/import-arrows.mjs) for both.
 */
import eslint from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { plugin } from './test/tidy/import-arrows.mjs';

const NODE = ['host/**/*.ts', 'test/**/*.ts', 'examples/**/*.ts'];
const WASM = ['assembly/**/*.ts', 'test/core/**/*.ts'];
const TOOLS = ['**/*.mjs', '*.js'];

const OUTSIDE_THE_IMAGE =
  'This would be a Wasm global, outside of the state image: give it an address in assembly/abi.';

const restrict = {
  exceptions: [
    { selector: 'ThrowStatement', message: 'AssemblyScript has no exceptions: return a status.' },
    { selector: 'TryStatement', message: 'AssemblyScript has no exceptions: return a status.' },
  ],
  globals: [
    { selector: 'Program > VariableDeclaration[kind!="const"]', message: OUTSIDE_THE_IMAGE },
    {
      selector: 'Program > ExportNamedDeclaration > VariableDeclaration[kind!="const"]',
      message: OUTSIDE_THE_IMAGE,
    },
    { selector: 'PropertyDefinition[static=true][readonly=false]', message: OUTSIDE_THE_IMAGE },
  ],
  webAssembly: {
    name: 'WebAssembly',
    message: 'Only host/core touches the WebAssembly API: use the Core that it exports.',
  },
  dlopen: {
    object: 'process',
    property: 'dlopen',
    message: 'Only host/native.ts loads native code: call what it exports.',
  },
};

export default defineConfig(
  globalIgnores(['build/', 'node_modules/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  eslint.configs.recommended,
  {
    plugins: { doorbell: plugin },
    rules: {
      'doorbell/import-arrows': 'error',
      eqeqeq: 'error',
      'no-var': 'error',
      'prefer-const': 'error',
    },
  },
  {
    files: NODE,
    ignores: WASM,
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { project: ['./tsconfig.json'], tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      // Numbers in messages are meant.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      // What a signature or a pattern asks for and nobody reads begins with an underscore.
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' },
      ],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      // node:test gives back promises that its runner awaits.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: ['test', 'it', 'describe', 'suite'].map((name) => ({
            from: 'package',
            name,
            package: 'node:test',
          })),
        },
      ],
      // An empty arrow function is how "nothing to do" is written.
      '@typescript-eslint/no-empty-function': ['error', { allow: ['arrowFunctions'] }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },
  // A test may take a method of an interface that has no `this`.
  { files: ['test/**/*.ts'], ignores: WASM, rules: { '@typescript-eslint/unbound-method': 'off' } },
  {
    files: ['host/**/*.ts'],
    rules: {
      'no-restricted-globals': ['error', restrict.webAssembly],
      'no-restricted-properties': ['error', restrict.dlopen],
    },
  },
  { files: ['host/core/**/*.ts'], rules: { 'no-restricted-globals': 'off' } },
  { files: ['host/native.ts'], rules: { 'no-restricted-properties': 'off' } },
  {
    files: WASM,
    extends: [tseslint.configs.recommended],
    languageOptions: { parserOptions: { project: false } },
    rules: {
      // Numbers have no coercion in Wasm: == and === are the same instruction.
      eqeqeq: 'off',
      // The types and built-in functions of AssemblyScript are globals that ESLint does not know.
      'no-undef': 'off',
      // 64-bit literals are exact in Wasm.
      'no-loss-of-precision': 'off',
      'no-restricted-syntax': ['error', ...restrict.exceptions],
    },
  },
  {
    files: ['assembly/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', ...restrict.exceptions, ...restrict.globals] },
  },
  {
    files: TOOLS,
    languageOptions: {
      globals: {
        URL: 'readonly',
        performance: 'readonly',
        Buffer: 'readonly',
        process: 'readonly',
        console: 'readonly',
        setTimeout: 'readonly',
        WebAssembly: 'readonly',
        clearTimeout: 'readonly',
      },
    },
  },
);
