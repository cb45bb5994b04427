/** The monotonic clock of the machine, ms: the same in every process. */
export const hostMs = (): number => Number(process.hrtime.bigint()) / 1e6
