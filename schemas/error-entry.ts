/**
 * What is said of an error. Verdicts, for a stage that meets it while handling an event:
 * - `wait`   a dependency is away: try again with backoff until it is back; never parked
 * - `retry`  may pass: try again a few times, then park
 * - `park`   the event itself is at fault: park at once
 * - `stop`   the stage cannot go on
 */
export type Verdict = 'wait' | 'retry' | 'park' | 'stop'

export interface ErrorEntry {
  readonly verdict: Verdict
  /** HTTP status where a sender is told of it. */
  readonly http: number
  /** DIMSE status where a C-STORE sender is told of it (PS3.4 B.2.3, PS3.7 C). */
  readonly dimse: number
  /** Whether somebody who sends an image can be told of it: by C-STORE, or in the answer of STOW-RS. */
  readonly intake?: true
  readonly title: string
  /** What an operator or sender should do. */
  readonly remedy: string
}
