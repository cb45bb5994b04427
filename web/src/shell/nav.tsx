import { useLive } from '../live/context.ts'
import { followLink, usePlace } from '../router.ts'

const views = [
  { view: 'live', href: '/', name: 'Live' },
  { view: 'worklist', href: '/worklist', name: 'Worklist' },
  { view: 'notifications', href: '/notifications', name: 'Alerts' },
  { view: 'try', href: '/try', name: 'Try it' },
  { view: 'deliveries', href: '/deliveries', name: 'Deliveries' },
  { view: 'parked', href: '/parked', name: 'Parked' },
  { view: 'replay', href: '/replay', name: 'Replay' },
  { view: 'models', href: '/models', name: 'Models' },
] as const

export function Nav() {
  const { route } = usePlace()
  const parked = useLive(({ pulses }) => pulses.at(-1)?.parked ?? 0)
  return (
    <nav className="views" aria-label="Views">
      {views.map(({ view, href, name }) => (
        <a key={view} href={href} onClick={followLink} {...(route.view === view ? { 'aria-current': 'page' } : {})}>
          {name}
          {view === 'parked' && parked > 0 && <span className="count">{parked}</span>}
        </a>
      ))}
    </nav>
  )
}
