/** A real browser for tests of the page, and what every page is held to. */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'

const candidates = [
  process.env.RAYLOG_CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
]

/** Path of a browser; undefined where none is installed. RAYLOG_CHROMIUM names another. */
export const browserPath = candidates.find(path => path !== undefined && existsSync(path))

export function launch(): Promise<Browser> {
  // Without the sandbox, which does not start where tests run as root in a container.
  return chromium.launch({ ...(browserPath ? { executablePath: browserPath } : {}), args: ['--no-sandbox'] })
}

/** Where screenshots go. */
export const out = join(import.meta.dirname, 'out')

export interface OpenPage extends AsyncDisposable {
  page: Page
  complaints: Complaints
}

/** One page in a browser of its own, as large as a laptop's. The caller closes it. */
export async function openPage(): Promise<OpenPage> {
  mkdirSync(out, { recursive: true })
  const browser = await launch()
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
  page.setDefaultTimeout(60_000)
  return { page, complaints: listenForComplaints(page), [Symbol.asyncDispose]: () => browser.close() }
}

interface Complaints {
  list: string[]
  pause(): void
  resume(): void
}

/** What a page complained of: errors on its console, uncaught ones, and breaches of its content security policy. */
function listenForComplaints(page: Page): Complaints {
  const list: string[] = []
  let paused = false
  const add = (text: string) => {
    if (!paused) list.push(text)
  }
  page.on('console', message => {
    const { url } = message.location()
    // A live event may be there a moment before its document: the page asks again, the browser logs the 404 anyway.
    if (message.text().includes('404') && /\/api\/v1\/instances\/in_/.test(url)) return
    if (message.type() === 'error') add(`${message.text()} (${url})`)
  })
  page.on('pageerror', error => add(error.message))
  return {
    list,
    pause: () => {
      paused = true
    },
    resume: () => {
      paused = false
    },
  }
}

/** Controls in view that a screen reader could not name, and images without alternative text. */
export function unnamed(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`
    [...document.querySelectorAll('a, button, input, select, textarea, canvas, img, [role=img], dialog, summary')]
      .filter(element => element.checkVisibility())
      .filter(element => {
        const labelled = (element.getAttribute('aria-labelledby') ?? '').split(' ')
          .map(id => document.getElementById(id)?.textContent ?? '').join('')
        const label = [...(element.labels ?? [])].map(one => one.textContent).join('')
        const name = element.getAttribute('aria-label') || labelled || label || element.textContent || element.title
        return name.trim() === '' && !element.hasAttribute('alt')
      })
      .map(element => element.outerHTML.slice(0, 120))
  `)
}

/** Pixels by which the page is wider than the window: nothing may have to be scrolled sideways to be read. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate<number>(`
    Math.max(0, ...[document.documentElement, ...document.querySelectorAll('.page, .panel-body, .panel-side, .scroller')]
      .map(element => element.scrollWidth - element.clientWidth))
  `)
}
