import { useEffect, useState } from 'react'
import { useLive } from '../live/context.ts'
import { type Filter, isEmpty, keys, readTyped, type Show, shows, withFilter } from '../live/filter.ts'
import { hrefWith, navigate } from '../router.ts'
import { CloseIcon, FilterIcon, LevelIcon, NoPictureIcon, ParkedIcon } from '../ui/icons.tsx'

const showNames: Readonly<Record<Show, string>> = {
  attention: 'Attention',
  uncertain: 'Uncertain',
  unanalysed: 'Not analysed',
  parked: 'Parked',
}

const showIcons: Readonly<Record<Show, React.ReactNode>> = {
  attention: <LevelIcon level="attention" size={12} />,
  uncertain: <LevelIcon level="check" size={12} />,
  unanalysed: <NoPictureIcon />,
  parked: <ParkedIcon />,
}

interface Props {
  filter: Filter
  query: URLSearchParams
  search: React.RefObject<HTMLInputElement | null>
  /** Rows that pass. */
  shown: number
}

export function FilterBar({ filter, query, search, shown }: Props) {
  const known = useLive(({ feed }) => feed.items.length)
  const go = (next: URLSearchParams) => navigate(hrefWith(location.pathname, next), { replace: true })
  return (
    <div className="filters">
      <SearchBox filter={filter} query={query} search={search} go={go} />
      <fieldset className="shows">
        <legend className="hidden">Show only</legend>
        {shows.map(show => (
          <button
            key={show}
            type="button"
            aria-pressed={filter.show === show}
            onClick={() => go(withFilter(query, 'show', filter.show === show ? null : show))}
          >
            {showIcons[show]}
            {showNames[show]}
          </button>
        ))}
      </fieldset>
      {keys.map(key => {
        const value = filter.values[key]
        if (value === undefined) return null
        return (
          <button
            key={key}
            type="button"
            className="chip"
            aria-label={`Remove the filter ${key} ${value}`}
            onClick={() => go(withFilter(query, key, null))}
          >
            <span className="muted">{key}</span> {value} <CloseIcon />
          </button>
        )
      })}
      <span className="spring" />
      <span className="muted small counted">{isEmpty(filter) ? known : `${shown} of ${known}`}</span>
    </div>
  )
}

function SearchBox({ filter, query, search, go }: Omit<Props, 'shown'> & { go(next: URLSearchParams): void }) {
  const [text, setText] = useState(filter.text)
  useEffect(() => setText(filter.text), [filter.text])
  function change(next: string) {
    setText(next)
    go(withFilter(query, 'q', next.trim()))
  }
  function onKeyDown(event: React.KeyboardEvent<HTMLInputElement>) {
    if (event.key === 'Escape') {
      event.preventDefault()
      if (text === '') event.currentTarget.blur()
      else change('')
    }
    if (event.key !== 'Enter') return
    const typed = readTyped(text)
    if (typed) {
      setText('')
      go(withFilter(withFilter(query, 'q', null), typed.key, typed.value))
    }
    event.currentTarget.blur()
  }
  return (
    <label className="search">
      <FilterIcon />
      <span className="hidden">Filter results</span>
      <input
        ref={search}
        type="search"
        value={text}
        placeholder="Filter, or model:digits"
        autoComplete="off"
        spellCheck={false}
        onChange={event => change(event.target.value)}
        onKeyDown={onKeyDown}
      />
      <kbd>/</kbd>
    </label>
  )
}
