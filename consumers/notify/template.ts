/** A message as text and as HTML. One place for the words, so that every channel says the same. */
import { escapeHtml } from '../../schemas/html.ts'
import type { NoticeMessage } from './channel.ts'

export const colours = { green: '#2e7d32', red: '#c62828', alert: '#ad1457' } as const
const heads = { green: 'RESULT', red: 'FINDING', alert: 'ALERT' } as const
export const ruo = 'Research use only. Not for diagnosis or treatment.'
export const repeatWords = 'This may be a repeat: an earlier copy may have reached you.'

export const headOf = ({ level, critical }: NoticeMessage): string => (critical ? 'CRITICAL RESULT' : heads[level])

export function findingText({ label, present, model, group, score }: NoticeMessage['findings'][number]): string {
  const side = group === null ? '' : ` ${group}`
  const sure = score === undefined ? '' : `, score ${score.toFixed(2)}`
  return `${label}${side}: ${present ? 'found' : 'not found'} (${model}${sure})`
}

export function subjectOf(message: NoticeMessage): string {
  const again = message.edition > 1 ? 'Changed: ' : ''
  return `${again}${headOf(message)}: ${message.title}`
}

export function textOf(message: NoticeMessage, redelivered: boolean): string {
  const { facts, findings, changes, links, critical } = message
  const lines = [
    ...(redelivered ? [repeatWords, ''] : []),
    subjectOf(message),
    '',
    ...changes.map(change => `* ${change}`),
    ...(changes.length > 0 ? [''] : []),
    ...findings.map(finding => `- ${findingText(finding)}`),
    ...(findings.length > 0 ? [''] : []),
    ...facts.map(([what, text]) => `${what}: ${text}`),
    '',
    ...(links.study === null ? ['Open Raylog to see it.'] : [`See it: ${links.study}`]),
    ...(critical ? [links.acknowledge ? `Acknowledge: ${links.acknowledge}` : 'Acknowledge it in Raylog.'] : []),
    ...(message.researchUseOnly ? ['', ruo] : []),
  ]
  return `${lines.join('\n')}\n`
}

/** @param image content id of the image, where there is one */
export function htmlOf(message: NoticeMessage, redelivered: boolean, image: string | null): string {
  const { level, facts, findings, changes, links } = message
  const paragraph = (text: string) => `<p style="margin:0 0 12px">${text}</p>`
  const list = (all: readonly string[]) =>
    all.length === 0 ? '' : `<ul style="margin:0 0 12px;padding-left:20px">${all.map(item).join('')}</ul>`
  const item = (text: string) => `<li>${escapeHtml(text)}</li>`
  const rows = facts.map(
    ([what, text]) =>
      `<tr><td style="padding:2px 16px 2px 0;color:#555">${escapeHtml(what)}</td><td>${escapeHtml(text)}</td></tr>`,
  )
  const button = (url: string, text: string, colour: string) =>
    `<a href="${escapeHtml(url)}" style="display:inline-block;margin-right:8px;padding:8px 16px;background:${colour};color:#fff;text-decoration:none">${text}</a>`
  const buttons = [
    ...(links.acknowledge === null ? [] : [button(links.acknowledge, 'Acknowledge', colours[level])]),
    ...(links.study === null ? [] : [button(links.study, 'See the study', '#37474f')]),
  ]
  return [
    '<!doctype html><html lang="en"><body style="font:14px/1.5 sans-serif;color:#111;background:#fff;margin:0;padding:16px">',
    `<div style="border-left:6px solid ${colours[level]};padding:0 0 0 16px;max-width:640px">`,
    redelivered ? paragraph(`<em>${repeatWords}</em>`) : '',
    `<h1 style="font-size:18px;margin:0 0 12px;color:${colours[level]}">${escapeHtml(subjectOf(message))}</h1>`,
    list(changes),
    list(findings.map(findingText)),
    `<table style="border-collapse:collapse;margin:0 0 12px">${rows.join('')}</table>`,
    image === null ? '' : paragraph(`<img src="cid:${image}" alt="The image" style="max-width:100%">`),
    buttons.length === 0 ? paragraph('Open Raylog to see it.') : paragraph(buttons.join('')),
    message.researchUseOnly ? `<p style="margin:0;color:#555;font-size:12px">${ruo}</p>` : '',
    '</div></body></html>',
  ].join('\n')
}
