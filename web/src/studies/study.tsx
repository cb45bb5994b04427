/** One study: images left, findings right, history and reports below. */
import { useEffect, useMemo, useState } from 'react'
import { type Problem, toProblem } from '../api/client.ts'
import type { Instance } from '../api/types.ts'
import { StudyDeliveries } from '../deliveries/list.tsx'
import { ago, time } from '../format.ts'
import { useKeys, useLoaded } from '../hooks.ts'
import { Deliveries } from '../instance/facts.tsx'
import { Viewer } from '../instance/viewer.tsx'
import { useStudyNews } from '../live/context.ts'
import { StudyNotices } from '../notifications/of-study.tsx'
import { followLink, hrefWith, instanceHref, navigate, usePlace } from '../router.ts'
import { Age, ProblemNotice, SkeletonRows } from '../ui/basics.tsx'
import { LevelIcon } from '../ui/icons.tsx'
import { Thumb } from '../ui/thumb.tsx'
import { ask, getStudy, type StudyDetail } from './api.ts'
import { Findings } from './findings.tsx'
import { Earlier, Revisions } from './history.tsx'
import { titlesInLists } from './report-titles.ts'
import { StudyReports } from './reports.tsx'
import { priorityLevel, priorityWords, stateWords } from './words.ts'
import './studies.css'

export function StudyView({ id }: { id: string }) {
  const { query } = usePlace()
  const detail = useLoaded(`study ${id}`, signal => getStudy(id, signal))
  useStudyNews(id, detail.reload)
  const back = () => {
    const next = new URLSearchParams(query)
    next.delete('image')
    next.delete('notice')
    next.set('at', id)
    navigate(hrefWith('/worklist', next))
  }
  useKeys({ Escape: back })
  return (
    <div className="page study-page">
      <div className="inner study">
        {detail.problem && <ProblemNotice problem={detail.problem} retry={detail.reload} />}
        {!detail.value && detail.loading && <SkeletonRows count={4} height={120} />}
        {detail.value && <Study detail={detail.value} query={query} onBack={back} onChanged={detail.reload} />}
        {!detail.value && !detail.loading && (
          <p>
            <a href="/worklist" onClick={followLink}>
              The worklist
            </a>
          </p>
        )}
      </div>
    </div>
  )
}

interface StudyProps {
  detail: StudyDetail
  query: URLSearchParams
  onBack(): void
  onChanged(): void
}

function Study({ detail, query, onBack, onChanged }: StudyProps) {
  const { study, instances, predictions, reports, revisions, deliveries } = detail
  const [newest] = revisions
  const asked = query.get('image')
  const first = newest?.findings.find(({ present }) => present)?.instances[0]
  const image = instances.find(({ id }) => id === (asked ?? first)) ?? instances[0]
  const show = (id: string) => {
    const next = new URLSearchParams(query)
    next.set('image', id)
    navigate(hrefWith(location.pathname, next), { replace: true })
  }
  const step = (by: number) => {
    const at = instances.findIndex(({ id }) => id === image?.id)
    const next = instances[Math.max(0, Math.min(instances.length - 1, at + by))]
    if (next) show(next.id)
  }
  useKeys({ n: () => step(1), p: () => step(-1) })
  const byImage = useMemo(() => Map.groupBy(predictions, ({ instance }) => instance), [predictions])
  return (
    <>
      <Heading detail={detail} onBack={onBack} onChanged={onChanged} />
      <div className="study-body">
        <section className="study-images" aria-label="Images">
          {image ? (
            <Viewer key={image.id} id={image.id} instance={image} said={byImage.get(image.id) ?? []} />
          ) : (
            <p className="notice">Its images are not here yet.</p>
          )}
          <Strip
            instances={instances}
            current={image?.id}
            marked={newest?.findings.flatMap(one => (one.present ? one.instances : [])) ?? []}
            onShow={show}
          />
          {image && (
            <p className="small muted strip-note">
              Image {instances.indexOf(image) + 1} of {instances.length}
              {detail.truncated && '; the newest 1,000 are shown'} ·{' '}
              <a href={instanceHref(image.id, new URLSearchParams())} onClick={followLink}>
                everything about it
              </a>
            </p>
          )}
        </section>
        <section className="study-findings" aria-label="Findings">
          <Findings
            key={study.id}
            detail={detail}
            image={image?.id}
            said={image ? (byImage.get(image.id) ?? []) : []}
            onShow={show}
            onChanged={onChanged}
          />
          <StudyNotices study={study.id} opened={query.get('notice')} />
        </section>
      </div>
      <div className="study-below">
        <Revisions revisions={revisions} />
        <StudyReports reports={reports} subjects={detail} />
        <StudyDeliveries study={study.id} titles={titlesInLists(reports, detail)} />
        <Deliveries deliveries={deliveries} />
        <Earlier studies={detail.earlier} patient={detail.patient} />
      </div>
    </>
  )
}

function Heading({ detail, onBack, onChanged }: Omit<StudyProps, 'query'>) {
  const { study, line, patient, revisions } = detail
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<Problem | null>(null)
  const [asked, setAsked] = useState<'complete' | 'reviewed' | null>(null)
  const version = `${line?.state} ${revisions.length}`
  // biome-ignore lint/correctness/useExhaustiveDependencies: what was asked for is done when the study says otherwise
  useEffect(() => setAsked(null), [version])
  async function act(what: 'complete' | 'reviewed') {
    setBusy(true)
    setProblem(null)
    try {
      await ask(study.id, what)
      setAsked(what)
      if (what === 'reviewed') onBack()
      else onChanged()
    } catch (thrown) {
      setProblem(toProblem(thrown))
    }
    setBusy(false)
  }
  const canReview = line?.state === 'waiting' && !busy
  useKeys({ r: () => (canReview ? void act('reviewed') : false) })
  const what = [study.modality, study.bodyPart].filter(Boolean).join(' ') || 'Study'
  return (
    <header className="study-head">
      <div>
        <p className="small">
          <a href="/worklist" onClick={followLink}>
            Worklist
          </a>
        </p>
        <h1>
          {what}{' '}
          <span className="muted small">
            {patient?.name ?? (patient ? `Patient ${patient.pseudonym.slice(3, 11)}` : 'No patient')}
          </span>
        </h1>
        <p className="small muted">
          {line && (
            <>
              <span className={`study-priority priority-${line.priority}`}>
                <LevelIcon level={priorityLevel[line.priority]} /> {priorityWords[line.priority]}
              </span>{' '}
              · {stateWords[line.state]} ·{' '}
            </>
          )}
          first image{' '}
          <span title={time(study.firstAt)}>
            <Age at={study.firstAt} says={ago} />
          </span>{' '}
          · {study.site}
        </p>
      </div>
      <span className="spring" />
      <div className="actions">
        {line?.state === 'gathering' && (
          <button
            type="button"
            className="button"
            disabled={busy || asked !== null}
            onClick={() => void act('complete')}
          >
            {asked === 'complete' ? 'Asked for' : 'No more images come'}
          </button>
        )}
        {line?.state === 'waiting' && (
          <button type="button" className="button primary" disabled={!canReview} onClick={() => void act('reviewed')}>
            Reviewed <kbd>r</kbd>
          </button>
        )}
      </div>
      {problem && <ProblemNotice problem={problem} />}
    </header>
  )
}

/** Every image, small; those with a finding are marked. */
function Strip({
  instances,
  current,
  marked,
  onShow,
}: {
  instances: readonly Instance[]
  current: string | undefined
  marked: readonly string[]
  onShow(id: string): void
}) {
  if (instances.length < 2) return null
  const found = new Set(marked)
  return (
    <ul className="image-strip">
      {instances.slice(0, 200).map(({ id, rows }, at) => (
        <li key={id}>
          <button
            type="button"
            className={id === current ? 'current' : ''}
            aria-label={`Image ${at + 1}${found.has(id) ? ', with a finding' : ''}`}
            aria-pressed={id === current}
            onClick={() => onShow(id)}
          >
            <Thumb id={id} size={64} none={rows === null} />
            {found.has(id) && <LevelIcon level="attention" size={12} />}
          </button>
        </li>
      ))}
    </ul>
  )
}
