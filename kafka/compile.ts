/** From stages and settings to a plan. Pure: it opens nothing, and says every problem at once. */
import { z } from 'zod'
import { distributedSections, type PlatformConfig, platformConfig } from '../schemas/config.ts'
import { RaylogError } from '../schemas/errors.ts'
import { allTopics } from '../schemas/topics.ts'
import type { TopicSpec } from './log.ts'
import type { PortName } from './ports.ts'
import { explainIssue } from './settings-problems.ts'
import type { AnyStage } from './stage.ts'

export interface Plan {
  readonly config: PlatformConfig
  /** Those that this process runs, each with its settings. */
  readonly stages: readonly { readonly stage: AnyStage; readonly config: unknown }[]
  readonly topics: readonly TopicSpec[]
  /** Ports that the stages need between them. */
  readonly needs: ReadonlySet<PortName>
  /** Everything with defaults filled in, secrets masked, for people. */
  readonly effective: Record<string, unknown>
}

/** Settings of the platform and of every stage, under its name. */
function configSchema(stages: readonly AnyStage[]) {
  return z.strictObject({
    ...platformConfig.shape,
    ...Object.fromEntries(stages.map(stage => [stage.name, stage.config.prefault({}).describe(stage.summary)])),
  })
}

/** The JSON Schema of raylog.yaml, for editors. */
export const configJsonSchema = (stages: readonly AnyStage[]) =>
  z.toJSONSchema(configSchema(stages), { io: 'input', unrepresentable: 'any' })

/**
 * @param settings what file, environment and flags say together
 * @throws RaylogError config-invalid, a line for each problem: path, what is wrong, what to do
 */
export function compile(stages: readonly AnyStage[], settings: unknown): Plan {
  const problems = declarationProblems(stages)
  const parsed = configSchema(stages).safeParse(settings)
  if (!parsed.success) {
    const schema = configJsonSchema(stages)
    const sections = [...Object.keys(platformConfig.shape), ...stages.map(({ name }) => name)]
    problems.push(...parsed.error.issues.flatMap(issue => explainIssue(issue, schema, sections)))
  }
  problems.push(...modeProblems(settings))
  const platform = platformConfig.strip().safeParse(settings)
  if (platform.success) problems.push(...timeProblems(platform.data))
  if (parsed.success) problems.push(...conflicts(stages, parsed.data))
  const asked = z.object({ stages: platformConfig.shape.stages }).safeParse(settings)
  const chosen = selectStages(stages, asked.data?.stages ?? null, problems)
  if (!parsed.success || !platform.success || problems.length > 0)
    throw new RaylogError('config-invalid', problems.join('\n'))
  const config = platform.data
  const sections: Record<string, unknown> = parsed.data
  return {
    config,
    stages: chosen.map(stage => ({ stage, config: sections[stage.name] })),
    topics: topicSpecs(config),
    needs: new Set(chosen.flatMap(stage => stage.needs)),
    effective: masked(stages, parsed.data),
  }
}

function declarationProblems(stages: readonly AnyStage[]): string[] {
  const known = new Set(allTopics.map(topic => topic.name))
  const seen = new Set<string>()
  const problems: string[] = []
  for (const stage of stages) {
    if (seen.has(stage.name) || stage.name in platformConfig.shape)
      problems.push(`stage ${stage.name}: the name is taken; give it another`)
    seen.add(stage.name)
    for (const topic of [...stage.reads, ...stage.writes]) {
      if (!known.has(topic.name))
        problems.push(`stage ${stage.name}: topic ${topic.name} is not in schemas/topics.ts; add it there`)
    }
  }
  return problems
}

/** Looked for in what was given, so that they are told beside whatever else is wrong. */
function modeProblems(settings: unknown): string[] {
  const given = z.looseObject({ mode: z.literal('distributed') }).safeParse(settings)
  if (!given.success) return []
  return distributedSections.flatMap(name =>
    given.data[name] ? [] : [`${name}: distributed mode needs this section (docs/distributed.md)`],
  )
}

const conflicts = (stages: readonly AnyStage[], sections: Record<string, unknown>): string[] =>
  stages.flatMap(stage => stage.conflicts?.(sections[stage.name], sections) ?? [])

/** Times of a group that do not go together: partitions would move while a stage works on them. */
function timeProblems({ mode, kafka, runner }: PlatformConfig): string[] {
  if (mode !== 'distributed' || !kafka) return []
  const { heartbeatMs, sessionTimeoutMs, rebalanceTimeoutMs } = kafka
  return [
    ...(heartbeatMs * 3 > sessionTimeoutMs
      ? [
          `kafka.heartbeatMs: ${heartbeatMs} is more than a third of kafka.sessionTimeoutMs (${sessionTimeoutMs}); lower the one, or raise the other`,
        ]
      : []),
    ...(runner.drainMs > rebalanceTimeoutMs * drainShare
      ? [
          `runner.drainMs: ${runner.drainMs} is more than half of kafka.rebalanceTimeoutMs (${rebalanceTimeoutMs}); lower the one, or raise the other`,
        ]
      : []),
  ]
}

/** Of the time that the others wait: the rest is for the last commit, and for joining again. */
const drainShare = 0.5

function selectStages(stages: readonly AnyStage[], names: readonly string[] | null, problems: string[]): AnyStage[] {
  if (names === null) return [...stages]
  const known = stages.map(stage => stage.name)
  for (const name of names) {
    if (!known.includes(name)) problems.push(`stages: there is no stage "${name}"; choose from ${known.join(', ')}`)
  }
  return stages.filter(stage => names.includes(stage.name))
}

const day = 86_400_000

function topicSpecs({ log }: PlatformConfig): TopicSpec[] {
  return allTopics.map(({ name, partitions, retentionDays, compacted = false }) => {
    const days = log.retentionDays ?? retentionDays
    return {
      name,
      partitions,
      retention: { maxAgeMs: retentionDays === null || days === null ? null : days * day, maxBytes: log.maxBytes },
      compacted,
    }
  })
}

function masked(stages: readonly AnyStage[], settings: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).map(([section, value]) => [
      section,
      mask(value, stages.find(({ name }) => name === section)?.secretSettings ?? []),
    ]),
  )
}

const isSecret = /(secret|token|password|accessKey)(?!.*File$)/i

/** Secrets never reach a terminal or a log. Paths of files that hold them may. */
function mask(value: unknown, secret: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map(one => mask(one, secret))
  if (typeof value === 'string') return value.replace(/(?<=:\/\/)[^/@\s]*@/, '…@')
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const hide = (isSecret.test(key) || secret.includes(key)) && typeof inner === 'string'
      return [key, hide ? '…' : mask(inner, secret)]
    }),
  )
}
