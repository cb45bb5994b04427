#!/usr/bin/env node
/** raylog: the command line. Each command is a file in commands/. */
import './compile-cache.ts'
import { Command, Option } from 'commander'
import { toRaylogError } from '../schemas/errors.ts'
import { asCallError } from './call-error.ts'
import type { RetrieveFlags } from './commands/retrieve.ts'
import { beginWithFewArenas } from './few-arenas.ts'
import { addReplayCommands } from './replay-commands.ts'
import { addReportCommands } from './report-commands.ts'
import type { SettingSources } from './settings.ts'
import { addTopicCommands } from './topic-commands.ts'

const program = new Command('raylog')
  .description('The imaging-AI event log: images in, predictions out, live.')
  .addOption(new Option('-c, --config <file>', 'settings file (default: raylog.yaml, if it is there)'))
  .option('--data <folder>', 'folder for everything that is kept (same as --set data=…)')
  .option('--set <path=value>', 'one setting, such as http.port=9000; may be repeated', collect, [])
  .showHelpAfterError()
  .configureHelp({ showGlobalOptions: true })

function collect(value: string, before: string[]): string[] {
  return [...before, value]
}

/** Where this call's settings come from. `more` are settings that a command's own flags stand for. */
function sources(more: readonly string[] = []): SettingSources {
  const flags = program.opts<{ config?: string; data?: string; set: string[] }>()
  const data = flags.data === undefined ? [] : [`data=${JSON.stringify(flags.data)}`]
  return { file: flags.config ?? null, env: process.env, set: [...data, ...flags.set, ...more] }
}

program
  .command('start')
  .description('run Raylog: ports, stages and page in this process')
  .option('--port <number>', 'port of the page and the API (same as --set http.port=…)')
  .option('--stages <names>', 'only these stages, separated by commas')
  .option('--demo', 'also send made-up images, a few a second')
  .action(async (flags: { port?: string; stages?: string; demo?: boolean }) => {
    beginWithFewArenas()
    const more = [
      ...(flags.port === undefined ? [] : [`http.port=${flags.port}`]),
      ...(flags.stages === undefined ? [] : [`stages=[${flags.stages}]`]),
      ...(flags.demo ? ['simulator.ratePerSecond=2'] : []),
    ]
    const { start } = await import('./commands/start.ts')
    await start(sources(more))
  })

program
  .command('send')
  .description('send files or folders to a running Raylog (or any DICOM node or URL) and say what became of each')
  .argument('<paths...>', 'files, folders, ZIP archives')
  .option('--to <target>', 'a peer, AETITLE@host:port, or a URL; default: the Raylog on this data folder, over HTTP')
  .option('--tls', 'DICOM over TLS, with the certificate of the settings')
  .option('--model <name>', 'ask for this model, for images that do not say what they are')
  .action(async (paths: string[], flags: { to?: string; model?: string; tls?: boolean }) => {
    const { send } = await import('./commands/send.ts')
    await send(sources(), paths, flags)
  })

program
  .command('explain')
  .description('say what became of an instance: which models took it, which did not and why, and every step since')
  .argument('<id>', 'instance id (in_…)')
  .option('--json', 'as JSON')
  .action(async (id: string, flags: { json?: boolean }) => {
    const { explain } = await import('./commands/explain.ts')
    await explain(sources(), id, flags.json === true)
  })

const parked = program.command('parked').description('events that a stage gave up on')
parked
  .command('list', { isDefault: true })
  .option('--stage <name>')
  .option('--json', 'as JSON')
  .action(async (flags: { stage?: string; json?: boolean }) => {
    const { listParked } = await import('./commands/parked.ts')
    await listParked(sources(), flags)
  })
for (const [action, description] of [
  ['retry', 'put the event back for the stage that gave up on it'],
  ['drop', 'mark the event as not to be handled'],
] as const) {
  parked
    .command(action)
    .description(description)
    .argument('<ids...>', 'ids of parked events (pk_…), or "all"')
    .action(async (ids: string[]) => {
      const { actOnParked } = await import('./commands/parked.ts')
      await actOnParked(sources(), action, ids)
    })
}

program
  .command('notify')
  .description('notifications by rule')
  .command('test')
  .description('what an event would have sent, to whom, and why or why not; nothing is sent')
  .argument('<id>', 'of a prediction (pr_…), an image (in_…), a study (st_…) or a revision of one (sr_…)')
  .option('--at <time>', 'as if it were then, ISO 8601 with a zone: tries rota, hours and quiet hours')
  .option('--json', 'as JSON')
  .action(async (id: string, flags: { at?: string; json?: boolean }) => {
    const { testNotify } = await import('./commands/notify.ts')
    await testNotify(sources(), id, flags)
  })

addTopicCommands(program, sources)

program
  .command('export')
  .description('write the log to a file: a backup, or the way to another log. An embedded one must be stopped')
  .argument('<file>', 'file to make, such as log.raylog')
  .option('--topics <names>', 'only these, separated by commas')
  .option('--from <time>', 'only records from this time on, such as 2026-05-01T08:00:00Z')
  .option('--to <time>', 'only records before this time')
  .action(async (file: string, flags: { topics?: string; from?: string; to?: string }) => {
    const { exportTo } = await import('./commands/export.ts')
    await exportTo(sources(), file, flags)
  })

program
  .command('import')
  .description('take an export into an empty log; interrupted, run it again')
  .argument('<file>')
  .option(
    '--reread <stages>',
    'these read everything again instead of going on where they stood; persist,audit,assess-study where the documents are new',
  )
  .action(async (file: string, flags: { reread?: string }) => {
    const { importFrom } = await import('./commands/import.ts')
    await importFrom(sources(), file, flags)
  })

program
  .command('deidentify')
  .description(
    'copy DICOM files without the people in them (PS3.15 Annex E), as the section deidentify of the settings says',
  )
  .argument('<in>', 'a file, or a folder with all below it')
  .argument('<out>', 'the file or folder to make')
  .option('--report <file>', 'what was changed in each, as JSON; never what it was')
  .action(async (from: string, to: string, flags: { report?: string }) => {
    const { deidentifyFiles } = await import('./commands/deidentify.ts')
    await deidentifyFiles(sources(), from, to, flags)
  })

program
  .command('models')
  .description('the models, what they take and what they are worth')
  .option('--json', 'as JSON')
  .action(async (flags: { json?: boolean }) => {
    const { showModels } = await import('./commands/models.ts')
    await showModels(sources(), flags.json === true)
  })

addReplayCommands(program, sources)

const list = (value: string) => value.split(',')
const retrieve = program.command('retrieve').description('pull studies from a peer of the settings')
retrieve
  .command('start', { isDefault: true })
  .requiredOption('--from <peer>', 'name of a peer in the settings')
  .option('--study <uids>', 'Study Instance UIDs, separated by commas', list)
  .option('--accession <numbers>', 'accession numbers, separated by commas', list)
  .option('--accessions <file>', 'accession numbers, one a line; - reads them from stdin')
  .option('--priors-of <patient id>', 'earlier studies of a patient')
  .option('--issuer <name>', 'of the patient id')
  .option('--before <day>', 'priors before this day, YYYY-MM-DD')
  .option('--modality <name>', 'priors with this modality alone')
  .option('--most <number>', 'the newest so many priors', Number)
  .option('--how <way>', 'auto, get, move or dicomweb')
  .option('--rate <number>', 'most images a second', Number)
  .option('--hours <from-to>', 'works between these times of day alone, such as 20:00-06:00')
  .option('--detach', 'do not wait for its end')
  .action(async (flags: RetrieveFlags) => {
    const { startRetrieval } = await import('./commands/retrieve.ts')
    await startRetrieval(sources(), flags)
  })
retrieve
  .command('list')
  .description('retrievals, the newest first')
  .action(async () => {
    const { listRetrievals } = await import('./commands/retrieve.ts')
    await listRetrievals(sources())
  })
for (const [action, description] of [
  ['pause', 'let it rest; what is here is kept'],
  ['resume', 'go on where it was'],
  ['cancel', 'end it; what is here is kept'],
] as const) {
  retrieve
    .command(action)
    .description(description)
    .argument('<id>', 'id of a retrieval (rt_…)')
    .action(async (id: string) => {
      const { changeRetrieval } = await import('./commands/retrieve.ts')
      await changeRetrieval(sources(), action, id)
    })
}

addReportCommands(program, sources)

program
  .command('config')
  .description('the effective settings, secrets masked')
  .option('--schema', 'the JSON Schema of raylog.yaml instead')
  .action(async (flags: { schema?: boolean }) => {
    const { showConfig } = await import('./commands/config.ts')
    showConfig(sources(), flags.schema === true)
  })

program
  .command('doctor')
  .description('check Node, folders, ports, runtime and models, and say what to do')
  .action(async () => {
    const { doctor } = await import('./commands/doctor.ts')
    process.exitCode = await doctor(sources())
  })

try {
  await program.parseAsync()
} catch (thrown) {
  const callError = asCallError(thrown)
  if (callError) {
    console.error(`${callError.message}\n${callError.remedy}`)
    process.exit(1)
  }
  const error = toRaylogError(thrown)
  console.error(`${error.code}: ${error.entry.title}\n${error.message.replace(/^/gm, '  ')}\n${error.entry.remedy}`)
  if (error.code === 'internal') console.error(thrown instanceof Error ? thrown.stack : thrown)
  process.exit(1)
}
