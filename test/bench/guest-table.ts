// The table of the guests: a column for each disk, a row for each thing that was measured.

import type { Figure, Table } from './figures.ts';
import { amount } from './report.ts';

/** All figures of one disk. Columns may lack some; the order of rows is that of the first that has them all. */
export interface GuestColumn {
  readonly name: string;
  readonly figures: readonly Figure[];
}

export function guestTable(columns: readonly GuestColumn[]): Table {
  const longest = columns.toSorted((a, b) => b.figures.length - a.figures.length)[0];
  const rows = (longest?.figures ?? []).flatMap(({ name, unit }) => {
    const found = columns.map(({ figures }) => figures.find((each) => each.name === name));
    const label = unit === '' ? name : `${name}, ${unit}`;
    const values = [label, ...found.map((each) => (each === undefined ? '–' : valueText(each)))];
    if (unit !== 'kIOPS') return [values];
    // Without the disk that others are compared with there are no ratios; its own is 1.
    if (found.every((each) => each?.ratio === undefined)) return [values];
    return [values, [`${name}: ratio`, ...found.map((each) => each?.ratio?.toFixed(2) ?? '1')]];
  });
  return { head: ['', ...columns.map(({ name }) => name)], rows };
}

function valueText({ value, best, samples, unit }: Figure): string {
  const text = amount(value, '');
  return unit === 'kIOPS' && samples.length > 1 ? `${text} (${amount(best, '')})` : text;
}
