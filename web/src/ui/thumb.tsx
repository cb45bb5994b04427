import { useEffect, useRef, useState } from 'react'
import { previewUrl } from '../api/client.ts'
import { NoPictureIcon } from './icons.tsx'

/** Rows that pass by at speed ask for no picture. */
const settleMs = 120
/** An event may be here before the gateway's documents know its image: asked again so long after each refusal, ms. */
const againMs = [1_000, 4_000]

interface Props {
  id: string
  /** Longest side, CSS pixels. */
  size: number
  /** There is no image in it: nothing is asked for. */
  none?: boolean
  /** Asks at once. */
  eager?: boolean
}

/** The picture, whole and in its own shape, on black; windowed by the gateway. */
export function Thumb({ id, size, none = false, eager = false }: Props) {
  const [asked, setAsked] = useState(0)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => () => clearTimeout(timer.current), [])
  const [state, setState] = useState<'waiting' | 'asked' | 'shown' | 'none'>(
    none ? 'none' : eager ? 'asked' : 'waiting',
  )
  useEffect(() => {
    if (state !== 'waiting') return
    const timer = setTimeout(() => setState('asked'), settleMs)
    return () => clearTimeout(timer)
  }, [state])
  function refused() {
    const wait = againMs[asked]
    if (wait === undefined) setState('none')
    else timer.current = setTimeout(() => setAsked(asked + 1), wait)
  }
  return (
    <span
      className={state === 'waiting' || state === 'asked' ? 'thumb loading' : 'thumb'}
      style={{ width: size, height: size }}
    >
      {(state === 'asked' || state === 'shown') && (
        <img
          key={asked}
          src={previewUrl(id, { size: Math.max(96, size * 2) })}
          alt=""
          width={size}
          height={size}
          decoding="async"
          className={state === 'shown' ? 'shown' : ''}
          onLoad={() => setState('shown')}
          onError={refused}
        />
      )}
      {state === 'none' && (
        <span className="none" title="No picture can be made of it">
          <NoPictureIcon />
        </span>
      )}
    </span>
  )
}
