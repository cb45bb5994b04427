/** raylog notify: what an event would have sent, to whom, and why or why not. */
import { z } from 'zod'
import { type Trial, trialShape } from '../../consumers/notify/trial.ts'
import { connect } from '../running.ts'
import type { SettingSources } from '../settings.ts'
import { table } from '../table.ts'
import { timeOf } from '../time.ts'

const answer = z.object({ items: z.array(trialShape) })

export async function testNotify(
  sources: SettingSources,
  id: string,
  flags: { json?: boolean; at?: string },
): Promise<void> {
  const at = timeOf('--at', flags.at)
  const said = await connect(sources).call('POST', '/api/v1/notifications/test', answer, { id, at })
  if (flags.json) return console.log(JSON.stringify(said.items, null, 2))
  for (const one of said.items) printTrial(one)
  console.log('Nothing was sent.')
}

function printTrial({ event, on, study, rules, webhooks }: Trial): void {
  console.log(`${on} ${event} of ${study}`)
  if (rules.length === 0) console.log('  there are no rules: see docs/notifications.md')
  for (const rule of rules) console.log(table(rowsOf(rule)))
  if (webhooks.length > 0)
    console.log(table(webhooks.map(({ destination, told }) => ['webhook', destination, told ? 'is told' : 'is not'])))
  console.log('')
}

function rowsOf({
  rule,
  matches,
  checks,
  title,
  to,
  vacant,
  known,
  repeat,
  chain,
}: Trial['rules'][number]): string[][] {
  const not = checks.filter(({ ok }) => !ok).map(({ what, why }) => ['', 'because', `${what}: ${why}`])
  const recipients = to.map(({ person, channel, kind, dueAt, why }) => [
    '',
    'to',
    `${person} by ${channel} (${kind})${why === null ? '' : `, at ${new Date(dueAt).toISOString()}: ${why}`}`,
  ])
  return [
    [`rule ${rule}`, matches ? 'fits' : 'does not fit', title ?? ''],
    ...not,
    ...(repeat && known ? [['', 'but', `it was told already (${known.id}), and nothing of it has changed`]] : []),
    ...(!matches && to.length > 0 ? [['', 'but', 'it has changed for those who were told before']] : []),
    ...recipients,
    ...vacant.map(role => ['', 'nobody', `has the role ${role} now`]),
    ...chain.map(({ name, afterMs }) => [
      '',
      'then',
      `${name}, ${Math.round(afterMs / 1_000)} s later unless acknowledged`,
    ]),
  ]
}
