/** What was changed, without what it was. */
import type { DeidentifyReport } from '../port.ts'

type Change = DeidentifyReport['changes'][number]

export type Recorder = (tag: string, name: string, action: Change['action']) => void

export function createReport(): { record: Recorder; changes(): Change[] } {
  const changes = new Map<string, Change>()
  return {
    record(tag, name, action) {
      const key = `${tag} ${action}`
      const known = changes.get(key)
      if (known === undefined) changes.set(key, { tag, name, action, count: 1 })
      else known.count++
    },
    changes: () => [...changes.values()].sort((a, b) => (a.tag < b.tag ? -1 : a.tag > b.tag ? 1 : 0)),
  }
}
