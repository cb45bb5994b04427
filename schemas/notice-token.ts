/**
 * The token in a mail's link: who holds it may acknowledge this edition of this notification in this person's name, and
 * nothing else. It is derived, so that a mail that is sent again has the same; it is used up by the acknowledgement.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'

export interface NoticeToken {
  notice: string
  edition: number
  person: string
}

const separator = '~'

/** @param key of `secrets.derive(noticeTokenPurpose)` */
export function writeNoticeToken(key: Uint8Array, { notice, edition, person }: NoticeToken): string {
  const said = [notice, String(edition), person].join(separator)
  return [said, mac(key, said)].join(separator)
}

/** @returns undefined for any that we did not write */
export function readNoticeToken(key: Uint8Array, text: string): NoticeToken | undefined {
  const [notice = '', edition = '', person = '', given = '', ...more] = text.split(separator)
  const expected = Buffer.from(mac(key, [notice, edition, person].join(separator)))
  const said = Buffer.from(given)
  if (more.length > 0 || said.length !== expected.length || !timingSafeEqual(said, expected)) return undefined
  return { notice, edition: Number(edition), person }
}

export const noticeTokenPurpose = 'acknowledge by mail'

/** 128 bits: nobody guesses one in the time that a link is good for. */
function mac(key: Uint8Array, said: string): string {
  return createHmac('sha256', key).update(said).digest().subarray(0, 16).toString('base64url')
}
