/** raylog send: files and folders to a running Raylog, or to any DICOM node or URL. */
import { existsSync } from 'node:fs'
import type { SendTarget } from '../../producers/send.ts'
import { sendFolder } from '../../producers/send.ts'
import type { DicomTls } from '../../schemas/peers.ts'
import { CallError } from '../call-error.ts'
import { connect } from '../running.ts'
import { platformSettings, type SettingSources } from '../settings.ts'

export async function send(
  sources: SettingSources,
  paths: readonly string[],
  flags: { to?: string; model?: string; tls?: boolean },
): Promise<void> {
  const missing = paths.filter(path => !existsSync(path))
  if (missing.length > 0)
    throw new CallError(`There is no ${missing.join(', no ')}.`, 'Name files or folders that exist; nothing was sent.')
  const target = flags.to === undefined ? { http: connect(sources) } : targetOf(flags.to, sources, flags.tls === true)
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

function targetOf(to: string, sources: SettingSources, tls: boolean): SendTarget {
  const { peers, dicomTls } = platformSettings(sources)
  const peer = peers.find(({ name }) => name === to)
  if (peer?.aeTitle && peer.host && peer.port) {
    const { aeTitle: calledAeTitle, host, port, certificate } = peer
    return { dicom: { calledAeTitle, host, port, certificate, tls: ours(dicomTls, peer.tls) } }
  }
  const dicom = /^([^@]{1,16})@([^:]+):(\d{1,5})$/.exec(to)
  const [, called, host, port] = dicom ?? []
  if (called && host && port)
    return { dicom: { calledAeTitle: called, host, port: Number(port), tls: ours(dicomTls, tls) } }
  if (/^https?:/.test(to)) {
    const url = new URL(to)
    const token = url.searchParams.get('token') ?? ''
    return { http: { url: url.origin, token } }
  }
  throw new CallError(
    `--to ${to} is neither a peer of the settings, nor a DICOM node, nor a URL.`,
    'Write the name of a peer, AETITLE@host:port, or http://HOST:PORT/?token=….',
  )
}

function ours(dicomTls: DicomTls | null, wanted: boolean): DicomTls | undefined {
  if (!wanted) return undefined
  if (dicomTls) return dicomTls
  throw new CallError('There is no certificate for TLS.', 'Name its files in the section dicomTls of raylog.yaml.')
}
