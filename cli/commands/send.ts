/** raylog send: files and folders to a running Raylog, or to any DICOM node or URL. */
import { existsSync } from 'node:fs'
import type { SendTarget } from '../../producers/send.ts'
import { sendFolder } from '../../producers/send.ts'
import { CallError } from '../call-error.ts'
import { connect } from '../running.ts'
import type { SettingSources } from '../settings.ts'

export async function send(
  sources: SettingSources,
  paths: readonly string[],
  flags: { to?: string; model?: string },
): Promise<void> {
  const missing = paths.filter(path => !existsSync(path))
  if (missing.length > 0)
    throw new CallError(`There is no ${missing.join(', no ')}.`, 'Name files or folders that exist; nothing was sent.')
  const target = flags.to === undefined ? { http: connect(sources) } : targetOf(flags.to)
  const { sent, failed } = await sendFolder(paths, target, {
    ...(flags.model === undefined ? {} : { model: flags.model }),
    onFile: ({ path, ok, text }, done, total) =>
      console.log(`${done}/${total}  ${ok ? 'ok    ' : 'FAILED'}  ${path}  ${text}`),
  })
  if (sent + failed === 0)
    throw new CallError(
      `There are no files in ${paths.join(', ')}.`,
      'Hidden files are left out unless they are named.',
    )
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
  throw new CallError(
    `--to ${to} is neither a DICOM node nor a URL.`,
    'Write AETITLE@host:port, or http://HOST:PORT/?token=….',
  )
}
