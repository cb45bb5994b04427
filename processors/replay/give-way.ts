import type { EventLog } from '../../kafka/log.ts'

/**
 * The stage of live work that is further behind than it may be while a replay runs; null: none is. Within a process the
 * engine already puts live images first; this is for what it cannot see: other processes, and the stores behind them.
 */
export async function laggard(
  log: Pick<EventLog, 'lag'>,
  { giveWayTo, giveWayAbove }: { giveWayTo: readonly string[]; giveWayAbove: number },
): Promise<string | null> {
  for (const stage of giveWayTo) {
    const lag = (await log.lag(stage)).reduce((sum, one) => sum + one.lag, 0)
    if (lag > giveWayAbove) return stage
  }
  return null
}
