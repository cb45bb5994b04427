import { useState } from 'react'
import { useLive } from '../live/context.ts'
import { followLink } from '../router.ts'
import { ConnectionIcon, KeyboardIcon, LogoIcon, MoonIcon, SunIcon, SystemIcon } from '../ui/icons.tsx'
import { nextTheme, readTheme, setTheme } from './theme.ts'

export function Header({ children, onKeys }: { children: React.ReactNode; onKeys(): void }) {
  return (
    <header className="top">
      <a className="brand" href="/" onClick={followLink}>
        <LogoIcon />
        Raylog
      </a>
      <span className="research" title="Not a medical device. Not for diagnosis or treatment.">
        Research use only
      </span>
      {children}
      <span className="spring" />
      <ConnectionState />
      <button
        type="button"
        className="button icon keys-button"
        onClick={onKeys}
        aria-label="Keyboard shortcuts"
        title="Keyboard shortcuts (?)"
      >
        <KeyboardIcon />
      </button>
      <ThemeButton />
    </header>
  )
}

const words = { connecting: 'Connecting', live: 'Live', lost: 'Reconnecting', unauthorized: 'No permission' }

function ConnectionState() {
  const connection = useLive(snapshot => snapshot.connection)
  return (
    <output className={`connection ${connection}`}>
      <ConnectionIcon on={connection === 'live'} />
      {words[connection]}
    </output>
  )
}

const icons = { dark: MoonIcon, light: SunIcon, system: SystemIcon }

function ThemeButton() {
  const [theme, change] = useState(readTheme)
  const next = nextTheme(theme)
  const name = `Theme: ${theme}. Change to ${next}`
  const ThemeIcon = icons[theme]
  return (
    <button
      type="button"
      className="button icon"
      aria-label={name}
      title={name}
      onClick={() => {
        setTheme(next)
        change(next)
      }}
    >
      <ThemeIcon />
    </button>
  )
}
