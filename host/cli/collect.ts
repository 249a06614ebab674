// An option that may be given several times.

/** Appends to the values before, in the order of the command line. */
export function collect(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}
