// What the parts of the benchmark hand to the report: rows of one table, and the sums that make them.

/** One line of the table. */
export interface Figure {
  /** What was measured, in words. */
  readonly name: string;
  readonly value: number;
  /** The best sample: what a machine that others use gave at its quietest moment. */
  readonly best: number;
  readonly unit: string;
  /** The same of the program compared with, taken in turns in the same run. */
  readonly reference?: { readonly name: string; readonly value: number; readonly best: number };
  /** `value` over `reference.value`: of times less is better, of rates more is. */
  readonly ratio?: number;
  /** All samples that `value` is the median of, in the order in which they were taken. */
  readonly samples: readonly number[];
  readonly referenceSamples?: readonly number[];
}

/** A part of the benchmark: its heading, and its figures. */
export interface Section {
  readonly title: string;
  /** How the figures were taken, one sentence or two. */
  readonly method: string;
  readonly figures: readonly Figure[];
  /** Shown instead of a line for each figure. */
  readonly table?: Table;
}

/** Cells of a table, as text. */
export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** How long the parts measure. */
export interface Effort {
  /** Rounds over all cells; each figure is the median of so many samples. */
  readonly rounds: number;
  /** Length of one slice of I/O, milliseconds. */
  readonly sliceMs: number;
  /** Batches of 32 commands in one slice of the core. */
  readonly coreBatches: number;
  /** Rounds of the core's slices, which are short. */
  readonly coreRounds: number;
  /** Size of the file. */
  readonly fileBytes: number;
  /** Rest before an idle target is watched, milliseconds: JavaScript's collector tidies up once meanwhile. */
  readonly quietMs: number;
  /** How long the idle target is watched, milliseconds. */
  readonly idleMs: number;
  /** Starts of a target, of which the median counts. */
  readonly starts: number;
  /** Controllers of the larger one of two targets whose memory is compared. */
  readonly controllers: number;
  /** Rounds over all guests and loads. */
  readonly guestRounds: number;
  /** Length of one run of fio in a guest, milliseconds. */
  readonly guestSliceMs: number;
  /** Size of each guest's disk. */
  readonly guestFileBytes: number;
  /** Guests also write. */
  readonly guestWrites: boolean;
}

const MIB = 1024 * 1024;

/** About twelve minutes, seven of them for the guests. */
export const FULL: Effort = {
  rounds: 5,
  sliceMs: 2000,
  coreBatches: 20_000,
  coreRounds: 15,
  fileBytes: 1024 * MIB,
  quietMs: 15_000,
  idleMs: 10_000,
  starts: 7,
  controllers: 33,
  guestRounds: 5,
  guestSliceMs: 2000,
  guestFileBytes: 128 * MIB,
  guestWrites: true,
};

/** About two minutes without the guests, who take as long once more. */
export const QUICK: Effort = {
  rounds: 3,
  sliceMs: 1000,
  coreBatches: 5000,
  coreRounds: 9,
  fileBytes: 256 * MIB,
  quietMs: 15_000,
  idleMs: 10_000,
  starts: 3,
  controllers: 33,
  guestRounds: 3,
  guestSliceMs: 1000,
  guestFileBytes: 64 * MIB,
  guestWrites: false,
};

/** Shows that everything runs; its figures mean nothing. */
export const SMOKE: Effort = {
  rounds: 1,
  sliceMs: 100,
  coreBatches: 50,
  coreRounds: 1,
  fileBytes: 8 * MIB,
  quietMs: 100,
  idleMs: 200,
  starts: 1,
  controllers: 3,
  guestRounds: 1,
  guestSliceMs: 100,
  guestFileBytes: 8 * MIB,
  guestWrites: false,
};

/** The middle one of an odd number of samples, the mean of the middle two otherwise. NaN of none. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? NaN;
  const high = sorted[Math.floor(middle)] ?? NaN;
  return (low + high) / 2;
}

/** A figure from its samples. */
export function figure(name: string, unit: string, samples: readonly number[]): Figure {
  return { name, unit, value: median(samples), best: best(unit, samples), samples };
}

/** Of rates the largest, of all else the smallest. */
function best(unit: string, samples: readonly number[]): number {
  return unit === 'kIOPS' ? Math.max(...samples) : Math.min(...samples);
}

/** A figure beside that of a reference: `ratio` is the median of the ratios of samples that were taken together. */
export function compared(
  name: string,
  unit: string,
  samples: readonly number[],
  reference: { name: string; samples: readonly number[] },
): Figure {
  const ratios = samples.map((sample, index) => sample / (reference.samples[index] ?? NaN));
  return {
    ...figure(name, unit, samples),
    reference: {
      name: reference.name,
      value: median(reference.samples),
      best: best(unit, reference.samples),
    },
    ratio: median(ratios),
    referenceSamples: reference.samples,
  };
}
