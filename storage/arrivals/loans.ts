/** Who reads what where it stands: it is not erased under them. */
export interface Loans {
  /** @returns what ends it; `ended` is called then, once */
  begin(sha256: string, ended: () => void): () => void
  /** Resolves when all that read it now have ended; undefined where none does. */
  of(sha256: string): Promise<void> | undefined
}

export function createLoans(): Loans {
  const lent = new Map<string, { count: number; over: PromiseWithResolvers<void> }>()
  return {
    begin(sha256, ended) {
      const loan = lent.get(sha256) ?? { count: 0, over: Promise.withResolvers<void>() }
      loan.count++
      lent.set(sha256, loan)
      let isOver = false
      return () => {
        if (isOver) return
        isOver = true
        loan.count--
        if (loan.count === 0) {
          lent.delete(sha256)
          loan.over.resolve()
        }
        ended()
      }
    },
    of: sha256 => lent.get(sha256)?.over.promise,
  }
}
