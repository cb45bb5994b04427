/** Our own icons: 16 × 16, one stroke weight. Decorative: a word or an accessible name always stands beside them. */
import type { Level } from '../live/finding.ts'

function Icon({ children, size = 16 }: { children: React.ReactNode; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  )
}

export const LogoIcon = () => (
  <Icon size={20}>
    <path d="M2 4h6M2 8h12M2 12h5" />
    <circle cx="12.5" cy="4" r="1.5" stroke="var(--accent)" fill="var(--accent)" />
  </Icon>
)
export const CloseIcon = () => (
  <Icon>
    <path d="m4 4 8 8M12 4l-8 8" />
  </Icon>
)
export const ChevronIcon = () => (
  <Icon>
    <path d="m4 6 4 4 4-4" />
  </Icon>
)
export const PreviousIcon = () => (
  <Icon>
    <path d="m4 10 4-4 4 4" />
  </Icon>
)
export const CopyIcon = () => (
  <Icon>
    <rect x="5.5" y="5.5" width="8" height="8" rx="1" />
    <path d="M10.5 3.5v-1h-8v8h1" />
  </Icon>
)
export const DoneIcon = () => (
  <Icon>
    <path d="m3 8.5 3.5 3.5L13 4.5" />
  </Icon>
)
export const FilterIcon = () => (
  <Icon>
    <path d="M2 4h12M4.5 8h7M7 12h2" />
  </Icon>
)
export const SunIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="2.8" />
    <path d="M8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9" />
  </Icon>
)
export const MoonIcon = () => (
  <Icon>
    <path d="M13 9.6A5.6 5.6 0 0 1 6.4 3a5.6 5.6 0 1 0 6.6 6.6Z" />
  </Icon>
)
export const SystemIcon = () => (
  <Icon>
    <rect x="2" y="3" width="12" height="8" rx="1" />
    <path d="M6 14h4" />
  </Icon>
)
export const FullIcon = () => (
  <Icon>
    <path d="M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10" />
  </Icon>
)
export const DownloadIcon = () => (
  <Icon>
    <path d="M8 2.5v8M4.5 7.5 8 11l3.5-3.5M3 13.5h10" />
  </Icon>
)
export const UploadIcon = () => (
  <Icon>
    <path d="M8 11V3M4.5 6.5 8 3l3.5 3.5M3 13.5h10" />
  </Icon>
)
export const ParkedIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="5.5" />
    <path d="M6.5 6v4M9.5 6v4" />
  </Icon>
)
export const FaultIcon = () => (
  <Icon>
    <path d="M8 2.2 14.5 13.5h-13L8 2.2ZM8 6.5v3M8 11.6v.1" />
  </Icon>
)
export const NoPictureIcon = () => (
  <Icon>
    <rect x="2" y="3" width="12" height="10" rx="1" />
    <path d="m2 13 12-10" />
  </Icon>
)
export const KeyboardIcon = () => (
  <Icon>
    <rect x="1.5" y="4" width="13" height="8" rx="1" />
    <path d="M4 6.7h.1M6.7 6.7h.1M9.3 6.7h.1M12 6.7h.1M5 9.5h6" />
  </Icon>
)

/** A dot that is full when connected, a ring when not: told apart without colour. */
export const ConnectionIcon = ({ on }: { on: boolean }) => (
  <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true">
    <circle cx="5" cy="5" r="3.5" fill={on ? 'currentColor' : 'none'} stroke="currentColor" strokeWidth="1.5" />
  </svg>
)

/** Attention by shape: full triangle, half diamond, hollow circle, dash. */
export function LevelIcon({ level, size = 14 }: { level: Level; size?: number }) {
  return (
    <svg className={`level-${level}`} width={size} height={size} viewBox="0 0 14 14" aria-hidden="true">
      {level === 'attention' && <path d="M7 1.2 13.4 12.6H.6Z" fill="currentColor" />}
      {level === 'check' && (
        <>
          <path d="M7 1 13 7 7 13 1 7Z" fill="none" stroke="currentColor" strokeWidth="1.6" />
          <path d="M7 1V13L1 7Z" fill="currentColor" />
        </>
      )}
      {level === 'clear' && <circle cx="7" cy="7" r="5" fill="none" stroke="currentColor" strokeWidth="1.6" />}
      {level === 'none' && <path d="M3 7h8" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />}
    </svg>
  )
}
