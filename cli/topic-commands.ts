/** raylog topics: what is typed; what it does is in commands/topics.ts. */
import type { Command } from 'commander'
import type { SettingSources } from './settings.ts'

export function addTopicCommands(program: Command, sources: () => SettingSources): void {
  const topics = program.command('topics').description('the topics of the log')
  topics
    .command('show', { isDefault: true })
    .description('partitions, offsets, lag of each stage')
    .option('--schema <topic>', 'print the Avro schema of one topic')
    .action(async (flags: { schema?: string }) => {
      const { showTopics } = await import('./commands/topics.ts')
      await showTopics(sources(), flags)
    })
  topics
    .command('plan')
    .description('what "topics apply" would change, and changes nothing')
    .action(async () => {
      const { planTopics } = await import('./commands/topics.ts')
      await planTopics(sources())
    })
  topics
    .command('apply')
    .description('print the plan, then make the topics so: never fewer partitions, never deleted')
    .option('--allow-loss', 'also what lets the log delete records that it keeps now, such as a shorter retention')
    .action(async ({ allowLoss = false }: { allowLoss?: boolean }) => {
      const { applyTopics } = await import('./commands/topics.ts')
      await applyTopics(sources(), { allowLoss })
    })
}
