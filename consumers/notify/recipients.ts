/** Who is told at a time, by which channels, and from when on: roles by rota, quiet hours. */
import type { NoticeTarget } from '../../schemas/notice.ts'
import type { NotifyConfig } from './config.ts'
import type { Rule } from './config-people.ts'
import { over, within } from './hours.ts'

export interface Recipients {
  targets: NoticeTarget[]
  /** Roles that nobody has at that time. */
  vacant: string[]
}

export interface Asked {
  rule: Rule
  site: string
  /** STAT: no quiet hours. */
  stat: boolean
  edition: number
  /** 0: those of the rule; 1 …: of its chain. */
  step: number
  now: number
}

export const timeZoneOf = ({ timeZone, timeZones }: NotifyConfig, site: string): string => timeZones[site] ?? timeZone

/** Names of a step: of the rule, or of one place of its chain; undefined past its end. */
export function namesOf(rule: Rule, step: number): readonly string[] | undefined {
  if (step === 0) return rule.to
  const name = rule.acknowledge?.chain[step - 1]
  return name === undefined ? undefined : [name]
}

export function recipientsOf(config: NotifyConfig, asked: Asked): Recipients {
  const zone = timeZoneOf(config, asked.site)
  const people = new Set<string>()
  const vacant: string[] = []
  for (const name of namesOf(asked.rule, asked.step) ?? []) {
    const role = config.roles.find(one => one.name === name)
    if (!role) people.add(name)
    const shift = role?.shifts.find(hours => within([hours], asked.now, zone))
    for (const one of shift?.people ?? []) people.add(one)
    if (role && !shift) vacant.push(name)
  }
  return { targets: [...people].flatMap(name => targetsOf(config, name, asked, zone)), vacant }
}

/** One target for each channel by which the person can be reached. */
export function targetsOf(config: NotifyConfig, name: string, asked: Asked, zone: string): NoticeTarget[] {
  const person = config.people.find(one => one.name === name)
  if (!person) return []
  const { rule, stat, now, edition, step } = asked
  const free = stat || rule.acknowledge !== null ? now : over(person.quiet, now, zone)
  const grouped = now + rule.groupMs
  const dueAt = Math.max(free, grouped)
  const why = free > grouped ? 'quiet-hours' : grouped > now ? 'grouping' : null
  return person.reach.map(({ channel }) => ({
    ...{ person: name, channel, edition, step },
    ...{ state: 'waiting', dueAt, why, tries: 0 },
  }))
}
