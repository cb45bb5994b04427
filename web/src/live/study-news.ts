/** Who wants to know that something came of a study: its images, answers, reports, or what was found in it. */
export interface StudyNews {
  tell(study: string): void
  /** @returns a function that stops listening */
  listen(listener: (study: string) => void): () => void
}

export function createStudyNews(): StudyNews {
  const listeners = new Set<(study: string) => void>()
  return {
    tell(study) {
      for (const listener of listeners) listener(study)
    },
    listen(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
  }
}
