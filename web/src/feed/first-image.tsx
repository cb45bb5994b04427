import { get } from '../api/client.ts'
import { toEndpoints } from '../api/shape.ts'
import type { Endpoints } from '../api/types.ts'
import { useLoaded } from '../hooks.ts'
import { followLink } from '../router.ts'
import { CopyButton, ProblemNotice, SkeletonRows } from '../ui/basics.tsx'

/** Nothing has come yet: the ways in, each with the very command, filled in. */
export function FirstImage() {
  const { value, problem, loading, reload } = useLoaded('endpoints', signal => get('/endpoints', toEndpoints, signal))
  return (
    <div className="first">
      <h1>No image has come yet</h1>
      <p className="muted">Send one in any of these ways. It appears here by itself, with its result.</p>
      {problem && <ProblemNotice problem={problem} retry={reload} />}
      {!value && loading && <SkeletonRows count={3} height={64} />}
      {value && (
        <ol>
          {waysIn(value, location.origin).map(({ name, note, command }) => (
            <li key={name}>
              <h2>{name}</h2>
              <div className="command">
                <code>{command}</code>
                <CopyButton text={command} what={`the command: ${name}`} />
              </div>
              {note && <p className="muted small">{note}</p>}
            </li>
          ))}
          <li>
            <h2>Here</h2>
            <p>
              Drop a file anywhere on this page, or{' '}
              <a href="/try" onClick={followLink}>
                draw a digit
              </a>
              .
            </p>
          </li>
        </ol>
      )}
    </div>
  )
}

interface WayIn {
  name: string
  command: string
  note: string | null
}

/** @param origin where this page came from, for commands that use HTTP */
export function waysIn(endpoints: Endpoints, origin: string): WayIn[] {
  const ways: WayIn[] = []
  const dicom = endpoints.dicom
  if (dicom?.port !== undefined) {
    const title = dicom.aeTitle ?? 'RAYLOG'
    ways.push({
      name: 'From a modality or PACS (C-STORE)',
      command: `storescu -aec ${title} ${dicom.host ?? location.hostname} ${dicom.port} image.dcm`,
      note: `AE title ${title}, host ${dicom.host ?? location.hostname}, port ${dicom.port}.`,
    })
  }
  const folder = endpoints.inbox?.folder
  if (folder !== undefined) {
    ways.push({ name: 'Into the watched folder', command: `cp image.dcm ${quoted(String(folder))}`, note: null })
  }
  ways.push({
    name: 'With HTTP',
    command: `curl -H "Authorization: Bearer $(cat ${tokenFile(endpoints)})" -F file=@image.dcm ${origin}/api/v1/instances`,
    note: 'The token stands in the data folder, and in the address that “raylog start” printed.',
  })
  return ways
}

function tokenFile({ page }: Endpoints): string {
  return typeof page?.tokenFile === 'string' ? quoted(page.tokenFile) : 'data/token'
}

/** For a shell, where it is needed. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
