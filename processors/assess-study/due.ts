/** Studies whose time has come. */
import type { Clock } from '../../monitoring/clock.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import type { Due } from '../../storage/due.ts'
import type { Assessor } from './assessor.ts'
import type { State } from './completion.ts'

export const dueStudies = (
  documents: Pick<DocumentStore, 'find'>,
  assessor: Pick<Assessor, 'considerDue'>,
  clock: Pick<Clock, 'now'>,
): Pick<Due<State>, 'what' | 'find' | 'consider'> => ({
  what: 'studies',
  find: limit =>
    documents.find('studyStates', {
      where: { phase: { in: ['gathering', 'waiting', 'writing'] }, dueAt: { lt: clock.now() + 1 } },
      ...{ order: 'oldest', limit },
    }),
  consider: state => assessor.considerDue(state),
})
