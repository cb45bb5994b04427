/** Logs go to stderr: as lines for people where that is a terminal, as JSON otherwise. */
import pino, { type Logger } from 'pino'
import pretty from 'pino-pretty'
import type { PlatformConfig } from '../schemas/config.ts'

export function createLogger(level: PlatformConfig['logLevel']): Logger {
  const destination = process.stderr.isTTY
    ? pretty({
        destination: 2,
        ignore: 'pid,hostname,stage',
        messageFormat: '{if stage}{stage}: {end}{msg}',
        sync: true,
      })
    : pino.destination({ fd: 2, sync: false })
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination)
}
