/** How the page is built: one small first bundle; charts, the canvas and the rarely opened views come when they are needed. */
import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import type { InlineConfig } from 'vite'

export const root = fileURLToPath(new URL('.', import.meta.url))

export const pageConfig: InlineConfig = {
  root,
  configFile: false,
  logLevel: 'silent',
  plugins: [react()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    sourcemap: false,
    // The gateway's content security policy allows no inline code or data: scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
}

export default pageConfig
