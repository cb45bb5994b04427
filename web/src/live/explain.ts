/** Why images were taken or not: asked once each, kept for the rows that pass by again. */
import { get, toProblem } from '../api/client.ts'
import { toExplanation } from '../api/shape.ts'
import type { Explanation, Route } from '../api/types.ts'

export type Explain = (id: string) => Promise<Explanation>

const keptAtMost = 500

export function createExplainer(): Explain {
  const known = new Map<string, Promise<Explanation>>()
  return id => {
    const before = known.get(id)
    if (before) return before
    const answer = ask(id)
    known.set(id, answer)
    answer.catch(() => known.delete(id))
    for (const oldest of [...known.keys()].slice(0, Math.max(0, known.size - keptAtMost))) known.delete(oldest)
    return answer
  }
}

/** An event may be here before the gateway's documents know its image: asked again so long after each refusal, ms. */
const againMs = [700, 2_000, 5_000]

async function ask(id: string): Promise<Explanation> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await get(`/instances/${encodeURIComponent(id)}/explain`, toExplanation)
    } catch (error) {
      const wait = againMs[attempt]
      if (wait === undefined || toProblem(error).details.code !== 'not-found') throw error
      await new Promise(resolve => setTimeout(resolve, wait))
    }
  }
}

/** Why no model took it, in the words of the routing rules. */
export function reasons(routes: readonly Route[]): string {
  if (routes.length === 0) return 'No model is loaded.'
  return routes
    .filter(({ accepted }) => !accepted)
    .map(({ model, reason }) => `${model.name}: ${reason}`)
    .join(' · ')
}
