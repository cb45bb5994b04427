import { useEffect, useRef, useState } from 'react'
import { previewUrl } from '../api/client.ts'
import type { Instance, Prediction } from '../api/types.ts'
import { useKeys, useSettled, useSize } from '../hooks.ts'
import { CloseIcon, FullIcon, NoPictureIcon } from '../ui/icons.tsx'
import { Outlines, outlinedOn } from './outlines.tsx'
import { guessWindow, presetsFor, type Window } from './window.ts'

/** The picture is asked for again this long after the last change of window or frame. */
const settleMs = 90
/** Enlarged so often or more, single pixels are shown instead of a smoothness that the image does not have. */
const pixelsFrom = 4
/** Longest side of the picture in the panel, and of the full one, pixels. */
const panelSize = 1_024
const fullSize = 4_096

/**
 * The picture, whole and in its own shape, as the gateway windows it. Dragging changes the window: sideways its width
 * (contrast), up and down its centre (brightness), as on a workstation.
 */
export function Viewer({ id, instance, said }: { id: string; instance: Instance | null; said: Prediction[] }) {
  const [window, setWindow] = useState<Window | null>(null)
  const [frame, setFrame] = useState(1)
  const [full, setFull] = useState(false)
  const [outlined, setOutlined] = useState(true)
  const url = useSettled(
    previewUrl(id, {
      size: full ? fullSize : panelSize * (devicePixelRatio > 1 ? 2 : 1),
      frame,
      ...(window ? { window } : {}),
    }),
    settleMs,
  )
  // Of the picture that is shown, which follows the slider a moment later.
  const shownFrame = Number(useSettled(String(frame), settleMs))
  const dialog = useRef<HTMLDialogElement>(null)
  useKeys({ f: () => setFull(true) })
  useEffect(() => {
    if (full) dialog.current?.showModal()
    else dialog.current?.close()
  }, [full])
  const frames = instance?.frames ?? 1
  const outlines = outlinedOn(said, shownFrame)
  const about = [instance?.modality, instance?.bodyPart].filter(Boolean).join(' ') || 'Image'
  return (
    <div className="viewer">
      <Picture url={url} about={about} instance={instance} window={window} setWindow={setWindow}>
        {outlined && <Outlines of={outlines} instance={instance} />}
      </Picture>
      <div className="viewer-tools small">
        {instance && <WindowTools instance={instance} window={window} setWindow={setWindow} />}
        {frames > 1 && (
          <label className="slider">
            <span>
              Frame {frame} of {frames}
            </span>
            <input
              type="range"
              min={1}
              max={frames}
              value={frame}
              onChange={event => setFrame(event.target.valueAsNumber)}
            />
          </label>
        )}
        {outlines.length > 0 && (
          <button type="button" className="button" aria-pressed={outlined} onClick={() => setOutlined(!outlined)}>
            Outlines of models
          </button>
        )}
        <button type="button" className="button" onClick={() => setFull(true)} title="Full image (f)">
          <FullIcon /> Full image <kbd>f</kbd>
        </button>
      </div>
      <dialog
        ref={dialog}
        className="full"
        aria-label={`Full image, ${about}`}
        onClose={() => setFull(false)}
        onKeyDown={event => {
          if (event.key === 'f') setFull(false)
        }}
      >
        {full && <Whole url={url} about={`${about}, as stored${window ? ', window changed by hand' : ''}`} />}
        <span className="research">Research use only</span>
        <button type="button" className="button" onClick={() => setFull(false)}>
          <CloseIcon /> Close
        </button>
      </dialog>
    </div>
  )
}

/** As large as it can be. What the panel had of it is shown until the large one is there. */
function Whole({ url, about }: { url: string; about: string }) {
  const [state, setState] = useState<'loading' | 'shown' | 'none'>('loading')
  const loading = state === 'loading'
  return (
    <div className={loading ? 'whole loading' : 'whole'} aria-busy={loading}>
      {state === 'none' ? (
        <NoPicture />
      ) : (
        <img
          src={url}
          alt={about}
          className={state}
          onLoad={() => setState('shown')}
          onError={() => setState('none')}
        />
      )}
      {loading && <output className="hidden">The picture is loading</output>}
    </div>
  )
}

function NoPicture({ stored = false }: { stored?: boolean }) {
  return (
    <p className="no-picture">
      <NoPictureIcon /> No picture can be made of it.
      {stored && ' The stored file can still be fetched.'}
    </p>
  )
}

interface PictureProps {
  url: string
  about: string
  instance: Instance | null
  window: Window | null
  setWindow(window: Window | null): void
  /** What is drawn over it. */
  children: React.ReactNode
}

function Picture({ url, about, instance, window, setWindow, children }: PictureProps) {
  const [state, setState] = useState<'loading' | 'shown' | 'none'>('loading')
  const noPixels = instance !== null && instance.rows === null
  const loading = state === 'loading' && !noPixels
  const [measure, box] = useSize()
  const scale =
    instance?.rows && instance.columns ? Math.min(box.width / instance.columns, box.height / instance.rows) : 0
  const drag = useRef<{ x: number; y: number; from: Window } | null>(null)
  function onPointerDown(event: React.PointerEvent<HTMLDivElement>) {
    if (event.button !== 0 || !instance || state === 'none') return
    event.currentTarget.setPointerCapture(event.pointerId)
    drag.current = { x: event.clientX, y: event.clientY, from: window ?? guessWindow(instance) }
  }
  function onPointerMove(event: React.PointerEvent<HTMLDivElement>) {
    const start = drag.current
    if (!start) return
    const step = start.from.width / 256
    setWindow({
      center: Math.round(start.from.center - (event.clientY - start.y) * step),
      width: Math.max(1, Math.round(start.from.width + (event.clientX - start.x) * step * 2)),
    })
  }
  const endDrag = () => {
    drag.current = null
  }
  return (
    <div
      ref={measure}
      className={loading ? 'picture loading' : 'picture'}
      aria-busy={loading}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={endDrag}
      onPointerCancel={endDrag}
    >
      {state === 'none' || noPixels ? (
        <NoPicture stored={instance !== null} />
      ) : (
        <img
          src={url}
          alt={`${about}, whole and unscaled in shape`}
          draggable={false}
          className={scale >= pixelsFrom ? `${state} pixels` : state}
          onLoad={() => setState('shown')}
          onError={() => setState('none')}
        />
      )}
      {state === 'shown' && children}
      {loading && <output className="hidden">The picture is loading</output>}
      {scale > 0 && state === 'shown' && (
        <span className="picture-note size mono">
          {instance?.columns} × {instance?.rows} at {Math.round(scale * 100)} %
        </span>
      )}
      {window && (
        <span className="picture-note mono">
          W {window.width} L {window.center}
        </span>
      )}
    </div>
  )
}

interface ToolsProps {
  instance: Instance
  window: Window | null
  setWindow(window: Window | null): void
}

function WindowTools({ instance, window, setWindow }: ToolsProps) {
  const guess = guessWindow(instance)
  const now = window ?? guess
  const reach = Math.max(guess.width * 2, 256)
  return (
    <>
      <label className="slider">
        <span>Width {window ? now.width : 'as stored'}</span>
        <input
          type="range"
          min={1}
          max={reach}
          value={now.width}
          onChange={event => setWindow({ ...now, width: event.target.valueAsNumber })}
        />
      </label>
      <label className="slider">
        <span>Centre {window ? now.center : 'as stored'}</span>
        <input
          type="range"
          min={guess.center - reach / 2}
          max={guess.center + reach / 2}
          value={now.center}
          onChange={event => setWindow({ ...now, center: event.target.valueAsNumber })}
        />
      </label>
      {presetsFor(instance).map(({ name, window: preset }) => (
        <button key={name} type="button" className="button" onClick={() => setWindow(preset)}>
          {name}
        </button>
      ))}
      <button type="button" className="button" disabled={window === null} onClick={() => setWindow(null)}>
        Reset
      </button>
    </>
  )
}
