/** The files that were made of a study, by revision: the newest open, what it replaced and the pages of single images folded away. */
import { reportType } from '../../../schemas/report-types.ts'
import { reportUrl } from '../api/client.ts'
import type { Report } from '../api/types.ts'
import { bytes } from '../format.ts'
import { DownloadIcon } from '../ui/icons.tsx'
import { listsOf, type Subjects, titlesOf } from './report-titles.ts'

interface Props {
  reports: readonly Report[]
  subjects: Subjects
}

export function StudyReports({ reports, subjects }: Props) {
  const { revisions, pages } = listsOf(reports)
  const [newest, ...older] = revisions
  if (revisions.length + pages.length === 0) return null
  return (
    <section className="block">
      <h2>Reports</h2>
      {newest ? (
        <Files reports={newest[1]} subjects={subjects} />
      ) : (
        <p className="muted">Those of the whole study are made when it is complete.</p>
      )}
      {older.map(([revision, files]) => (
        <details key={revision}>
          <summary className="small muted">Revision {revision}, replaced</summary>
          <Files reports={files} subjects={subjects} />
        </details>
      ))}
      {pages.length > 0 && (
        <details>
          <summary className="small muted">
            {pages.length} {pages.length === 1 ? 'page' : 'pages'} of single images
          </summary>
          <Files reports={pages} subjects={subjects} />
        </details>
      )}
    </section>
  )
}

const inOrder = new Intl.Collator('en', { numeric: true })

function Files({ reports, subjects }: Props) {
  const titles = titlesOf(reports, subjects)
  const titled = reports.map(report => ({ ...report, title: titles.get(report.id) ?? report.format }))
  const ordered = titled.toSorted((a, b) => inOrder.compare(a.title, b.title))
  return (
    <ul className="lines">
      {ordered.map(({ id, title, object, format, revision, bytes: size, outcome, code }) => (
        <li key={id}>
          {object ? (
            <a
              href={reportUrl(id)}
              target="_blank"
              rel="noreferrer"
              {...(reportType(format).inline ? {} : { download: true })}
            >
              {!reportType(format).inline && <DownloadIcon />} {title}
            </a>
          ) : (
            title
          )}{' '}
          <span className="muted small">
            {[
              revision === null ? null : `revision ${revision}`,
              size > 0 ? bytes(size) : null,
              outcome === 'refused' ? `could not be made (${code ?? 'no reason'})` : null,
            ]
              .filter(Boolean)
              .join(', ')}
          </span>
        </li>
      ))}
    </ul>
  )
}
