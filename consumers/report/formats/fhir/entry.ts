/** Entries of the transaction (R4 3.1.0.11): sent twice, they make one of each. */
import type { BundleEntry, Identifier, Narrative, Resource } from '@medplum/fhirtypes'
import type { Language } from '../../texts/texts.ts'
import { queryOf } from './names.ts'

export type Entry<R extends Resource> = BundleEntry<R> & { fullUrl: string; resource: R }

/** Made only where there is none of that identifier: what is there stays as it is. */
export const created = <R extends Resource>(fullUrl: string, identifier: Identifier, resource: R): Entry<R> => ({
  fullUrl,
  resource,
  request: { method: 'POST', url: resource.resourceType, ifNoneExist: queryOf(identifier) },
})

/** Made, or takes the place of the one with that identifier. */
export const replaced = <R extends Resource>(fullUrl: string, identifier: Identifier, resource: R): Entry<R> => ({
  fullUrl,
  resource,
  request: { method: 'PUT', url: `${resource.resourceType}?${queryOf(identifier)}` },
})

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

const escaped = (text: string): string =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: XML has no way to say them
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, ' ')
    .toWellFormed()
    .replace(/[&<>"]/g, character => escapes[character] ?? '')

/** What people read where their system shows nothing else: a paragraph a line. */
export const narrative = (language: Language, lines: readonly string[]): Narrative => ({
  status: 'generated',
  div: `<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="${language}" lang="${language}">${lines
    .map(line => `<p>${escaped(line)}</p>`)
    .join('')}</div>`,
})
