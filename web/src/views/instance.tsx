import { useEffect, useRef } from 'react'
import { get } from '../api/client.ts'
import { toDetail } from '../api/shape.ts'
import { useLoaded } from '../hooks.ts'
import { Deliveries, Facts, Identity, Reports, SameUid } from '../instance/facts.tsx'
import { Findings } from '../instance/findings.tsx'
import { Viewer } from '../instance/viewer.tsx'
import { Why } from '../instance/why.tsx'
import { useLive } from '../live/context.ts'
import { followLink } from '../router.ts'
import { studyHref } from '../studies/words.ts'
import { ProblemNotice, SkeletonRows } from '../ui/basics.tsx'
import { ChevronIcon, CloseIcon, PreviousIcon } from '../ui/icons.tsx'

interface Props {
  id: string
  onClose(): void
  /** Opens the result so many rows further. */
  onMove(step: number): void
}

/** One image: the picture, what was said of it, why, and what became of it. */
export function InstancePanel({ id, onClose, onMove }: Props) {
  // What came live since it was loaded: each new prediction, report or fault loads it anew.
  const version = useLive(({ feed }) => {
    const item = feed.byId.get(id)
    return item ? `${item.predictions.length} ${item.reports.length} ${item.parked.length}` : ''
  })
  const detail = useLoaded(`instance ${id}`, signal => get(`/instances/${encodeURIComponent(id)}`, toDetail, signal))
  const { reload } = detail
  const loadedVersion = useRef(version)
  useEffect(() => {
    if (loadedVersion.current === version) return
    loadedVersion.current = version
    reload()
  }, [version, reload])
  // Its event came live, its document is not written yet: it will be in a moment.
  const early = detail.problem?.details.code === 'not-found' && version !== ''
  useEffect(() => {
    if (!early) return
    const timer = setTimeout(reload, 700)
    return () => clearTimeout(timer)
  }, [early, reload])
  return (
    <aside className="panel" aria-label="Image and findings">
      <header className="panel-head">
        <Heading detail={detail.value} />
        <span className="spring" />
        <button
          type="button"
          className="button icon"
          aria-label="Result before (k)"
          title="Result before (k)"
          onClick={() => onMove(-1)}
        >
          <PreviousIcon />
        </button>
        <button
          type="button"
          className="button icon"
          aria-label="Next result (j)"
          title="Next result (j)"
          onClick={() => onMove(1)}
        >
          <ChevronIcon />
        </button>
        <button type="button" className="button icon" aria-label="Close (Esc)" title="Close (Esc)" onClick={onClose}>
          <CloseIcon />
        </button>
      </header>
      <div className="panel-body">
        <Viewer key={id} id={id} instance={detail.value?.instance ?? null} said={detail.value?.predictions ?? []} />
        <div className="panel-side">
          {detail.problem && !early && <ProblemNotice problem={detail.problem} retry={detail.reload} />}
          {!detail.value && (detail.loading || early) && <SkeletonRows count={5} height={56} />}
          {detail.value && (
            <>
              <SameUid others={detail.value.sameUid} />
              <Findings detail={detail.value} />
              <Why id={id} routes={detail.value.routes} version={version} />
              <Reports reports={detail.value.reports} />
              <Deliveries deliveries={detail.value.deliveries} />
              <Facts instance={detail.value.instance} />
              <Identity detail={detail.value} />
            </>
          )}
        </div>
      </div>
    </aside>
  )
}

function Heading({ detail }: { detail: ReturnType<typeof toDetail> | null }) {
  if (!detail) return <h1>Image</h1>
  const { instance, patient } = detail
  const what = [instance.modality, instance.bodyPart, instance.view].filter(Boolean).join(' ')
  return (
    <div className="panel-title">
      <h1>{what || 'Image'}</h1>
      <span className="muted small">{patient?.name ?? (patient ? `Patient ${patient.pseudonym}` : 'No patient')}</span>
      <a className="small" href={studyHref(instance.study, new URLSearchParams())} onClick={followLink}>
        Its study
      </a>
    </div>
  )
}
