// `--socket PATH[,namespaces=1+2,cntlid=N]`.

export interface SocketSpec {
  /** Absolute; at most 107 bytes. */
  readonly path: string;
  /** NSIDs that the controller sees, ascending; undefined: all. */
  readonly namespaces: readonly number[] | undefined;
  /** 1 to 65,519; undefined: the lowest free one. */
  readonly cntlid: number | undefined;
}
