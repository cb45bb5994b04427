/** raylog start: settings to plan, plan to ports, ports to stages, and down again in order at SIGTERM. */
import { rmSync, writeFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { listen } from '../../gateway/http.ts'
import { compile } from '../../kafka/compile.ts'
import { run } from '../../kafka/runner.ts'
import { systemClock } from '../../monitoring/clock.ts'
import { toRaylogError } from '../../schemas/errors.ts'
import { buildPageIfChanged } from '../../web/build.ts'
import { tellOfProcess } from '../audit.ts'
import { banner } from '../banner.ts'
import { createLogger } from '../logger.ts'
import { openPorts, storesOf } from '../ports.ts'
import { runningFile } from '../running.ts'
import { readSettings, type SettingSources } from '../settings.ts'
import { allStages } from '../stages.ts'

export async function start(sources: SettingSources): Promise<void> {
  const begun = performance.now()
  const plan = compile(allStages, readSettings(sources))
  const logger = createLogger(plan.config.logLevel)
  const names = plan.stages.map(({ stage }) => stage.name)
  const page = names.includes('gateway') ? buildPageIfChanged() : undefined
  const signals = untilSignal()
  const surroundings = { logger, clock: systemClock }
  await using opened = await openPorts(plan, surroundings, await storesOf(plan, surroundings))
  const { ports, platform } = opened
  await page
  await tellOfProcess('application-start', plan, ports, systemClock)
  await using running = await run(plan, ports, platform)
  const { url } = await listen(ports.http, plan.config.http)
  if (page) ports.endpoints.set('page', { url })
  // What the other commands ask is the gateway's to answer; several processes may share the folder.
  const runFile = page || plan.config.mode === 'embedded' ? join(plan.config.data, runningFile) : undefined
  if (runFile) writeFileSync(runFile, JSON.stringify({ url, pid: process.pid }))
  console.log(
    banner({
      seconds: (performance.now() - begun) / 1_000,
      health: `${url}/healthz`,
      stages: plan.config.stages === null ? null : names,
      endpoints: ports.endpoints.all(),
      token: ports.secrets.token,
      models: plan.needs.has('models') ? ports.models.list() : [],
      researchUseOnly: plan.config.researchUseOnly,
    }),
  )
  // It is written at an exit in order, and this process may run until the power fails.
  flushCompileCache()
  try {
    await Promise.race([signals.caught, running.stopped])
    if (signals.caughtOne()) logger.info('stopping: finishing what is under way; a second signal ends at once')
    // A log that is away must not keep the process from stopping.
    await tellOfProcess('application-stop', plan, ports, systemClock).catch(error =>
      logger.warn({ code: toRaylogError(error).code }, 'the stop is not in the audit'),
    )
    await running.stop()
    await running.stopped
  } finally {
    if (runFile) rmSync(runFile, { force: true })
    signals.forget()
  }
}

/** The first SIGTERM or SIGINT asks for an orderly stop; the second does not wait. */
function untilSignal() {
  const { promise, resolve } = Promise.withResolvers<void>()
  let count = 0
  const heard = () => {
    count++
    if (count > 1) process.exit(130)
    resolve()
  }
  process.on('SIGTERM', heard).on('SIGINT', heard)
  return {
    caught: promise,
    caughtOne: () => count > 0,
    forget: () => void process.off('SIGTERM', heard).off('SIGINT', heard),
  }
}
