/** raylog reports: its subcommands. */
import type { Command } from 'commander'
import type { ListFlags, ResendFlags } from './commands/reports.ts'
import type { SettingSources } from './settings.ts'

const list = (value: string) => value.split(',')

export function addReportCommands(program: Command, sources: () => SettingSources): void {
  const reports = program.command('reports').description('reports on their way to other systems')
  reports
    .command('list', { isDefault: true })
    .description('what became of each delivery, and the queue of each destination')
    .option('--study <id>')
    .option('--destination <name>')
    .option('--state <state>', 'pending, sending, sent, refused, superseded')
    .option('--limit <number>', 'the newest so many')
    .option('--json', 'as JSON')
    .action(async (flags: ListFlags) => {
      const { listDeliveries } = await import('./commands/reports.ts')
      await listDeliveries(sources(), flags)
    })
  reports
    .command('resend')
    .description('send reports again: by id, by study, or those made within a time')
    .argument('[ids...]', 'ids of reports (rp_…) or deliveries (rd_…)')
    .option('--study <ids>', 'separated by commas', list)
    .option('--from <time>', 'reports made from then on, ISO 8601 with a zone')
    .option('--to <time>', 'reports made before this')
    .option('--destination <names>', 'only there, also what their rules did not name; separated by commas', list)
    .option('--state <state>', 'only deliveries in this state, such as refused')
    .option('--dry-run', 'say how many, and send nothing')
    .action(async (ids: string[], flags: ResendFlags) => {
      const { resendReports } = await import('./commands/reports.ts')
      await resendReports(sources(), ids, flags)
    })
}
