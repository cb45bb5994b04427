/**
 * What a group may commit of one partition: the offset below which everything is done. Records finish in any order; a
 * crash must find none of them skipped.
 */
export class Watermark {
  /** In the order of the log; `done` ones at the head leave at once. */
  #open: { offset: number; done: boolean }[] = []
  #head = 0
  #next: number | undefined

  /** Records that began and have not all been passed. */
  get pending(): number {
    return this.#open.length - this.#head
  }

  /** Offset of the next record to read, were the process to die now; undefined before the first record is done. */
  get position(): number | undefined {
    return this.#next
  }

  /** Offsets must grow; they need not be dense. @returns call it when the record is done */
  begin(offset: number): () => void {
    const entry = { offset, done: false }
    this.#open.push(entry)
    return () => {
      entry.done = true
      this.#advance()
    }
  }

  #advance(): void {
    for (let entry = this.#open[this.#head]; entry?.done; entry = this.#open[++this.#head])
      this.#next = entry.offset + 1
    if (this.#head > 1_024 || this.#head === this.#open.length) {
      this.#open = this.#open.slice(this.#head)
      this.#head = 0
    }
  }
}
