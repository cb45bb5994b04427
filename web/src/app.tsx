import { lazy, Suspense, useState } from 'react'
import { useKeys, useMedia } from './hooks.ts'
import { usePlace } from './router.ts'
import { Banner } from './shell/banner.tsx'
import { DropAnywhere } from './shell/drop.tsx'
import { Header } from './shell/header.tsx'
import { KeysDialog } from './shell/keys.tsx'
import { Nav } from './shell/nav.tsx'
import { Strip } from './shell/strip.tsx'
import { SkeletonRows } from './ui/basics.tsx'
import { Boundary } from './ui/boundary.tsx'
import type { Uploads } from './uploads.ts'
import { LiveView } from './views/live.tsx'

const WorklistView = lazy(() =>
  import('./studies/worklist.tsx').then(({ WorklistView }) => ({ default: WorklistView })),
)
const StudyView = lazy(() => import('./studies/study.tsx').then(({ StudyView }) => ({ default: StudyView })))
const TryView = lazy(() => import('./views/try.tsx').then(({ TryView }) => ({ default: TryView })))
const DeliveriesView = lazy(() =>
  import('./deliveries/view.tsx').then(({ DeliveriesView }) => ({ default: DeliveriesView })),
)
const ParkedView = lazy(() => import('./views/parked.tsx').then(({ ParkedView }) => ({ default: ParkedView })))
const ModelsView = lazy(() => import('./views/models.tsx').then(({ ModelsView }) => ({ default: ModelsView })))
const NotificationsView = lazy(() =>
  import('./notifications/view.tsx').then(({ NotificationsView }) => ({ default: NotificationsView })),
)
const ReplayView = lazy(() => import('./replay/view.tsx').then(({ ReplayView }) => ({ default: ReplayView })))

export function App({ uploads }: { uploads: Uploads }) {
  const { route } = usePlace()
  const phone = useMedia('(width < 760px)')
  const [keysShown, showKeys] = useState(false)
  useKeys({ '?': () => showKeys(true) })
  return (
    <div className="shell">
      <Header onKeys={() => showKeys(true)}>{!phone && <Nav />}</Header>
      <Banner />
      <Strip />
      <main className="body">
        <Boundary key={route.view}>
          <Suspense
            fallback={
              <div className="page">
                <SkeletonRows />
              </div>
            }
          >
            {route.view === 'live' && <LiveView selected={route.instance} />}
            {route.view === 'worklist' && route.study === null && <WorklistView />}
            {route.view === 'worklist' && route.study !== null && <StudyView key={route.study} id={route.study} />}
            {route.view === 'try' && <TryView uploads={uploads} />}
            {route.view === 'deliveries' && <DeliveriesView />}
            {route.view === 'parked' && <ParkedView />}
            {route.view === 'models' && <ModelsView selected={route.model} />}
            {route.view === 'replay' && <ReplayView selected={route.replay} />}
            {route.view === 'notifications' && <NotificationsView selected={route.notice} />}
            {route.view === 'unknown' && <NotFound />}
          </Suspense>
        </Boundary>
      </main>
      {phone && <Nav />}
      <DropAnywhere uploads={uploads} />
      <KeysDialog open={keysShown} onClose={() => showKeys(false)} />
    </div>
  )
}

function NotFound() {
  return (
    <div className="page">
      <div className="inner notice">
        <h1>No such view</h1>
        <p>
          The address names nothing on this page. <a href="/">Go to the live results</a>
        </p>
      </div>
    </div>
  )
}
