/** The comparison of a replay for the terminal. */
export const printComparison = (said: unknown): string => JSON.stringify(said)
