// Lines of text out of the pieces that a socket hands over.

/** Longest line, in bytes: a batch of requests about hundreds of controllers is shorter. */
export const LINE_BYTES_MAX = 4 << 20;

export class LineReader {
  readonly #take: (line: string) => void;
  #pieces: Buffer[] = [];
  #bytes = 0;

  /** `take` gets each line that is not blank, without its newline. */
  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  /** False when a line is longer than LINE_BYTES_MAX: the boundaries are lost. */
  push(chunk: Buffer): boolean {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = Buffer.concat([...this.#pieces, rest.subarray(0, end)]).toString('utf8');
      this.#pieces = [];
      this.#bytes = 0;
      rest = rest.subarray(end + 1);
      if (line.trim() !== '') this.#take(line);
    }
    this.#pieces.push(rest);
    this.#bytes += rest.length;
    return this.#bytes <= LINE_BYTES_MAX;
  }
}
