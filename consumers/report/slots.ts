/** So many at once; the rest wait in line, and leave it when they are aborted. */
export function slots(count: number): (signal: AbortSignal) => Promise<Disposable> {
  let free = count
  const waiting = new Set<() => void>()
  const slot = (): Disposable => ({
    [Symbol.dispose]() {
      const [next] = waiting
      if (next) next()
      else free += 1
    },
  })
  return signal => {
    if (signal.aborted) return Promise.reject(signal.reason)
    if (free > 0) {
      free -= 1
      return Promise.resolve(slot())
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        waiting.delete(enter)
        signal.removeEventListener('abort', abort)
      }
      const enter = () => {
        leave()
        resolve(slot())
      }
      const abort = () => {
        leave()
        reject(signal.reason)
      }
      waiting.add(enter)
      signal.addEventListener('abort', abort, { once: true })
    })
  }
}
