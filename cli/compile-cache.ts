/**
 * What V8 makes of the modules, and they of TypeScript, is kept from one start to the next: two fifths of a start were spent on
 * that. Beside the code, and not in a temporary folder where others may write, since what is read there is run. Where it cannot
 * be written nothing is kept. Whoever sets NODE_COMPILE_CACHE has it where they want. Imported before anything else.
 */
import { enableCompileCache } from 'node:module'
import { resolve } from 'node:path'

// Worker threads and processes ask the environment.
process.env.NODE_COMPILE_CACHE ??= resolve(import.meta.dirname, '../node_modules/.cache/compiled')
enableCompileCache(process.env.NODE_COMPILE_CACHE)
