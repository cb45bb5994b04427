import { useEffect, useState } from 'react'
import { useLive } from '../live/context.ts'
import { CloseIcon, ConnectionIcon, FaultIcon } from '../ui/icons.tsx'

/** A reload or a blink of the network is not worth a banner. */
const graceMs = 1_500

/** Says at once that results no longer come, and what was caught up when they do again. */
export function Banner() {
  const connection = useLive(snapshot => snapshot.connection)
  const caughtUp = useLive(snapshot => snapshot.caughtUp)
  const since = useLost(connection === 'lost')
  const [dismissed, dismiss] = useState<object | null>(null)
  if (connection === 'unauthorized') {
    return (
      <div className="banner" role="alert">
        <FaultIcon />
        <span>No permission. Open the address that “raylog start” printed; it holds the token.</span>
      </div>
    )
  }
  if (since !== null) {
    return (
      <div className="banner" role="alert">
        <ConnectionIcon on={false} />
        <span>
          Disconnected since {new Date(since).toLocaleTimeString()}. What is shown may be out of date; connecting again.
        </span>
      </div>
    )
  }
  if (caughtUp !== null && caughtUp !== dismissed) {
    return (
      <output className="banner">
        <ConnectionIcon on />
        <span>
          {caughtUp.truncated
            ? 'Connected again. Too much was missed to replay: the lists were loaded anew.'
            : `Connected again. ${caughtUp.count === 0 ? 'Nothing was missed.' : `Caught up ${caughtUp.count} ${caughtUp.count === 1 ? 'event' : 'events'}.`}`}
        </span>
        <span className="spring" />
        <button type="button" className="button icon" aria-label="Dismiss" onClick={() => dismiss(caughtUp)}>
          <CloseIcon />
        </button>
      </output>
    )
  }
  return <span className="hidden" />
}

/** When the connection was lost, ms since the epoch; null while there is one, or for a moment after. */
function useLost(lost: boolean): number | null {
  const [since, setSince] = useState<number | null>(null)
  useEffect(() => {
    if (!lost) return setSince(null)
    const at = Date.now()
    const timer = setTimeout(() => setSince(at), graceMs)
    return () => clearTimeout(timer)
  }, [lost])
  return since
}
