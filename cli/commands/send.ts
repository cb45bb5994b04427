/** raylog send: files and folders to a running Raylog, or to any DICOM node or URL. */
import type { SendTarget } from '../../producers/send.ts'
import { sendFolder } from '../../producers/send.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { connect } from '../running.ts'
import type { SettingSources } from '../settings.ts'

export async function send(
  sources: SettingSources,
  paths: readonly string[],
  flags: { to?: string; model?: string },
): Promise<void> {
  const target = flags.to === undefined ? { http: connect(sources) } : targetOf(flags.to)
  const { sent, failed } = await sendFolder(paths, target, {
    ...(flags.model === undefined ? {} : { model: flags.model }),
    onFile: ({ path, ok, text }, done, total) =>
      console.log(`${done}/${total}  ${ok ? 'ok    ' : 'FAILED'}  ${path}  ${text}`),
  })
  console.log(`${sent} sent${failed > 0 ? `, ${failed} failed` : ''}.`)
  if (failed > 0) process.exitCode = 1
}

function targetOf(to: string): SendTarget {
  const dicom = /^([^@]{1,16})@([^:]+):(\d{1,5})$/.exec(to)
  const [, called, host, port] = dicom ?? []
  if (called && host && port) return { dicom: { calledAeTitle: called, host, port: Number(port) } }
  if (/^https?:/.test(to)) {
    const url = new URL(to)
    const token = url.searchParams.get('token') ?? ''
    return { http: { url: url.origin, token } }
  }
  throw new RaylogError('bad-request', `--to ${to}: write AETITLE@host:port, or a URL with its token`)
}
