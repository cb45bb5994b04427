/** How far a long command has come, on stderr: a line that is written over on a terminal, a line now and then otherwise. */
export interface Progress {
  at(done: number, total: number): void
  /** The last word, on stdout. */
  done(text: string): void
}

const everyMs = 1_000

export function progress(verb: string): Progress {
  const terminal = process.stderr.isTTY
  let last = 0
  return {
    at(done, total) {
      const now = Date.now()
      if (last !== 0 && now - last < everyMs) return
      last = now
      process.stderr.write(`${terminal ? '\r' : ''}${done} of ${total} records ${verb}${terminal ? '' : '\n'}`)
    },
    done(text) {
      if (terminal) process.stderr.write('\r\x1b[K')
      console.log(text)
    },
  }
}
