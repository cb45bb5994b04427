/** raylog replay: its subcommands. */
import type { Command } from 'commander'
import type { StartFlags } from './commands/replay.ts'
import type { SettingSources } from './settings.ts'

const list = (value: string) => value.split(',')

export function addReplayCommands(program: Command, sources: () => SettingSources): void {
  const replay = program.command('replay').description('run past images through another version of a model')
  replay
    .command('start', { isDefault: true })
    .requiredOption('--model <name@version>', 'a loaded model; put candidates on models.standby')
    .requiredOption('--from <time>', 'first arrival, ISO 8601 with a zone, such as 2026-03-01T00:00:00Z')
    .requiredOption('--to <time>', 'arrivals before this')
    .option('--site <names>', 'separated by commas', list)
    .option('--study <ids>', 'separated by commas', list)
    .option('--modality <names>', 'separated by commas', list)
    .option('--rate <number>', 'most images a second; default: as many as live work leaves', Number)
    .option('--dry-run', 'say what it would do, and change nothing')
    .option('--detach', 'do not wait for its end')
    .action(async (flags: StartFlags) => {
      const { startReplay } = await import('./commands/replay.ts')
      await startReplay(sources(), flags)
    })
  replay
    .command('list')
    .description('replays, the newest first')
    .action(async () => {
      const { listReplays } = await import('./commands/replay.ts')
      await listReplays(sources())
    })
  for (const [action, description] of [
    ['pause', 'let it rest; what is done is kept'],
    ['resume', 'go on where it was'],
    ['cancel', 'end it; what it said so far is kept'],
  ] as const) {
    replay
      .command(action)
      .description(description)
      .argument('<id>', 'id of a replay (rr_…)')
      .action(async (id: string) => {
        const { changeReplay } = await import('./commands/replay.ts')
        await changeReplay(sources(), action, id)
      })
  }
  replay
    .command('compare')
    .description('what it said, beside what production said at the time')
    .argument('<id>', 'id of a replay (rr_…)')
    .option('--json', 'as JSON')
    .option('--csv', 'image by image, as CSV')
    .action(async (id: string, flags: { json?: boolean; csv?: boolean }) => {
      const { compareReplay } = await import('./commands/replay.ts')
      await compareReplay(sources(), id, flags)
    })
  replay
    .command('gone')
    .description('its images whose object was erased since')
    .argument('<id>', 'id of a replay (rr_…)')
    .option('--json', 'as JSON')
    .action(async (id: string, flags: { json?: boolean }) => {
      const { listGone } = await import('./commands/replay-gone.ts')
      await listGone(sources(), id, flags)
    })
}
