import { reportPlace, reportWords } from '../../../schemas/report-types.ts'
import { objectUrl, reportUrl } from '../api/client.ts'
import type { DeliveryDoc, Detail, Instance, Report } from '../api/types.ts'
import { bytes, cameBy, time } from '../format.ts'
import { followLink, instanceHref } from '../router.ts'
import { CodeLink, CopyButton } from '../ui/basics.tsx'
import { DownloadIcon } from '../ui/icons.tsx'

export function Reports({ reports }: { reports: readonly Report[] }) {
  if (reports.length === 0) return null
  return (
    <section className="block">
      <h2>Reports</h2>
      <ul className="lines">
        {reports.map(report => (
          <li key={report.id}>
            {report.object ? (
              <a href={reportUrl(report.id)} target="_blank" rel="noreferrer">
                {reportWords(report.format)}
              </a>
            ) : (
              reportWords(report.format)
            )}{' '}
            <span className="muted small">
              {[report.outcome, reportPlace(report), report.bytes > 0 && bytes(report.bytes)]
                .filter(Boolean)
                .join(', ')}
            </span>
          </li>
        ))}
      </ul>
    </section>
  )
}

export function Deliveries({ deliveries }: { deliveries: readonly DeliveryDoc[] }) {
  if (deliveries.length === 0) return null
  return (
    <section className="block">
      <h2>Notifications</h2>
      <ul className="lines">
        {deliveries.map(({ id, channel, destination, state, attempts, code, message }) => (
          <li key={id}>
            {channel} to {destination}: {state}{' '}
            <span className="muted small">
              {attempts > 1 && `after ${attempts} attempts `}
              {message} {code && <CodeLink code={code} />}
            </span>
          </li>
        ))}
      </ul>
    </section>
  )
}

/** A UID that has more than one content is a fault of a sender's that people must know of. */
export function SameUid({ others }: { others: readonly Instance[] }) {
  if (others.length === 0) return null
  return (
    <section className="block" role="alert">
      <h2>Not the only one of its UID</h2>
      <p className="small">
        Images with other content came under the same SOP instance UID. All are kept; queries and retrievals give the
        first that came.
      </p>
      <ul className="lines">
        {others.map(({ id, receivedAt, source }) => (
          <li key={id}>
            <a href={instanceHref(id, new URLSearchParams())} onClick={followLink}>
              {time(receivedAt)}
            </a>{' '}
            <span className="muted small">{cameBy(source)}</span>
          </li>
        ))}
      </ul>
    </section>
  )
}

const doneTo: Readonly<Record<string, string>> = {
  remove: 'removed',
  empty: 'emptied',
  dummy: 'replaced',
  uid: 'another UID',
  shift: 'moved to another day',
  words: 'words of imaging kept',
  content: 'texts replaced, codes kept',
}
const pixels: Readonly<Record<string, string>> = {
  regions: 'regions of the pixels made black',
  blanked: 'all pixels made black',
  'overlays-removed': 'overlays in the pixels removed',
}

function changesOf({ changes, pixels: how }: NonNullable<Instance['deidentified']>): string {
  return [`${changes.length} attributes changed`, pixels[how]].filter(Boolean).join(', ')
}

export function Facts({ instance }: { instance: Instance }) {
  const { source, equipment, object, deidentified } = instance
  const facts: [string, string | null][] = [
    ['Received', time(instance.receivedAt)],
    ['Acquired', instance.acquiredAt === null ? null : time(instance.acquiredAt)],
    ['From', cameBy(source)],
    ['Site', instance.site],
    ['Priority', instance.priority],
    ['Size', instance.rows && instance.columns ? `${instance.columns} × ${instance.rows}` : null],
    ['Frames', instance.frames > 1 ? String(instance.frames) : null],
    ['Pixels', instance.photometric],
    ['Device', [equipment?.manufacturer, equipment?.model, equipment?.station].filter(Boolean).join(' ') || null],
    ['De-identified', deidentified ? changesOf(deidentified) : null],
    ['File', `${object.contentType}, ${bytes(object.bytes)}`],
  ]
  return (
    <section className="block">
      <h2>Image</h2>
      <dl className="facts-list small">
        {facts.map(([name, value]) => value && <Fact key={name} name={name} value={value} />)}
      </dl>
      {deidentified && deidentified.changes.length > 0 && (
        <details className="small">
          <summary>What de-identification did</summary>
          <ul>
            {deidentified.changes.map(({ tag, name, action, count }) => (
              <li key={`${tag} ${action}`}>
                {name}: {doneTo[action] ?? action}
                {count > 1 && ` (${count} times)`}
              </li>
            ))}
          </ul>
        </details>
      )}
      <a className="button" href={objectUrl(instance.id)} download>
        <DownloadIcon /> The stored file
      </a>
    </section>
  )
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt className="muted">{name}</dt>
      <dd>{value}</dd>
    </>
  )
}

export function Identity({ detail: { instance, predictions } }: { detail: Detail }) {
  const ids: [string, string | null | undefined][] = [
    ['Instance', instance.id],
    ['Study', instance.study],
    ['Patient', instance.patient],
    ['SOP instance UID', instance.dicom?.sopInstance],
    ['Study UID', instance.dicom?.study],
    ['SHA-256', instance.object.sha256],
    ...predictions.map(({ id, model }): [string, string] => [`Prediction ${model.name}`, id]),
  ]
  return (
    <section className="block">
      <h2>Identifiers</h2>
      <dl className="ids small">
        {ids.map(
          ([name, value]) =>
            value && (
              <div key={name}>
                <dt className="muted">{name}</dt>
                <dd className="mono">{value}</dd>
                <CopyButton text={value} what={name} />
              </div>
            ),
        )}
      </dl>
    </section>
  )
}
