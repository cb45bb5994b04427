/** What is made of the status that ends an operation which we asked for: one reading for all who ask. */
import { status } from './command.ts'

/** later: out of resources, which passes; refused: sending the same again would change nothing. */
export type Outcome = 'done' | 'warning' | 'later' | 'refused'

/**
 * C-STORE (PS3.4 B.2.3): warnings (0xBxxx) have stored it too. C-FIND, C-GET and C-MOVE (PS3.4 C.4): a warning says that some
 * sub-operations failed.
 */
export function outcomeOf(code: number): Outcome {
  if (code === status.success) return 'done'
  if ((code & 0xf000) === 0xb000) return 'warning'
  return (code & 0xff00) === 0xa700 ? 'later' : 'refused'
}
