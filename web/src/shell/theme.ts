/** The theme that the person chose, kept in this browser. web/public/theme.js applies it before the first paint. */
export type Theme = 'dark' | 'light' | 'system'

const order: readonly Theme[] = ['dark', 'light', 'system']
const key = 'raylog.theme'

export function readTheme(): Theme {
  try {
    return order.find(theme => theme === localStorage.getItem(key)) ?? 'dark'
  } catch {
    return 'dark' // storage is switched off: the default stays
  }
}

export function nextTheme(theme: Theme): Theme {
  return order[(order.indexOf(theme) + 1) % order.length] ?? 'dark'
}

export function setTheme(theme: Theme): void {
  try {
    localStorage.setItem(key, theme)
  } catch (error) {
    console.info('The theme is not kept: storage is switched off.', error)
  }
  apply(theme)
}

function apply(theme: Theme): void {
  const light = theme === 'light' || (theme === 'system' && matchMedia('(prefers-color-scheme: light)').matches)
  document.documentElement.dataset.theme = light ? 'light' : 'dark'
}

/** Follows the system while the choice is "system". @returns stops */
export function followSystem(): () => void {
  const list = matchMedia('(prefers-color-scheme: light)')
  const change = () => apply(readTheme())
  list.addEventListener('change', change)
  return () => list.removeEventListener('change', change)
}
