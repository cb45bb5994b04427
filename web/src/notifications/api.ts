/** Notifications over HTTP; the shapes are the gateway's own. */
import type { NoticeView } from '../../../gateway/api/notifications.ts'
import { get, postJson } from '../api/client.ts'
import { isObject, pageOf, ShapeError } from '../api/shape.ts'
import type { Page } from '../api/types.ts'

export type { NoticeView }

function toNotice(value: unknown): NoticeView {
  if (!isObject(value)) throw new ShapeError('expected an object')
  for (const field of ['id', 'phase', 'trail', 'targets', 'findings'])
    if (!(field in value)) throw new ShapeError(`${field} is missing`)
  return value as unknown as NoticeView
}

const path = (id: string, action = '') => `/notifications/${encodeURIComponent(id)}${action && `/${action}`}`

export function getNotices(
  { open = false, study }: { open?: boolean; study?: string },
  signal: AbortSignal,
): Promise<Page<NoticeView>> {
  const query = { limit: '100', ...(open && { phase: 'open' }), ...(study !== undefined && { study }) }
  return get(`/notifications?${new URLSearchParams(query)}`, pageOf(toNotice), signal)
}
export const getNotice = (id: string, signal: AbortSignal): Promise<NoticeView> => get(path(id), toNotice, signal)
export const act = (id: string, what: 'acknowledge' | 'seen', by: string): Promise<NoticeView> =>
  postJson(path(id, what), by === '' ? {} : { by }, toNotice)
