/** Builds the page: a process of its own (build.ts), which gives back what the bundler took. */
import { build } from 'vite'
import { pageConfig } from './vite.config.ts'

await build(pageConfig)
