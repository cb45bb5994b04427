/** The page: an event on imaging.notifications.v1, which every gateway pushes to those who joined (gateway/live). */
import type { Publish } from '../../../kafka/stage.ts'
import type { Clock } from '../../../monitoring/clock.ts'
import { ids } from '../../../schemas/ids.ts'
import type { NoticeDoc } from '../../../schemas/notice.ts'
import { topics } from '../../../schemas/topics.ts'
import type { NoticeMessage, Sender } from '../channel.ts'

export type LiveMessage = NoticeMessage & Pick<NoticeDoc, 'study' | 'site' | 'priority'>

export function live(publish: Publish<typeof topics.notifications>, clock: Clock): Sender<LiveMessage> {
  return {
    name: 'live',
    async send({ notice, study, site, rule, recipient, edition, critical, title, priority }, { idempotencyKey }) {
      const said = { notification: notice, study, site, rule, what: 'alert', who: recipient.person, channel: 'live' }
      const id = ids.noticeAlert(idempotencyKey)
      await publish(topics.notifications, { id, ...said, edition, critical, title, priority, at: clock.now() })
    },
  }
}
