/** What the address says is to be sent again. */
import { hrefWith } from '../router.ts'
import { fromIso, sinceEpoch } from '../times.ts'
import type { ResendBody } from './api.ts'

/** Leads to the form, with this study chosen. */
export const againHref = (study: string): string =>
  hrefWith('/deliveries', new URLSearchParams({ again: 'study', study }))

/** What the form asks for; null while it says neither a study nor a time. */
export function askedOf(query: URLSearchParams): ResendBody | null {
  const places = query.getAll('destination')
  const state = query.get('which') ?? ''
  const to = {
    ...(places.length > 0 ? { destination: places } : {}),
    ...(state === '' ? { unsent: places.length > 0 && query.get('unsent') === '1' } : { state }),
  }
  if (query.get('again') === 'study') {
    const study = studyIn(query.get('study') ?? '')
    return study === null ? null : { studies: [study], ...to }
  }
  const [from, until] = [fromIso(query.get('from')), fromIso(query.get('to'))]
  if (from === null && until === null) return null
  const range = {
    ...(from === null ? {} : { from: sinceEpoch(from) }),
    ...(until === null ? {} : { to: sinceEpoch(until) }),
  }
  return { ...range, ...to }
}

/** Its id, or the address of its page; not the end of a word. */
export const studyIn = (text: string): string | null => /\bst_\w+/.exec(text)?.[0] ?? null
