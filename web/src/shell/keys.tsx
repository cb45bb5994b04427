import { useEffect, useRef } from 'react'
import { CloseIcon } from '../ui/icons.tsx'

const keys = [
  ['j', 'Next result, study or finding'],
  ['k', 'The one before'],
  ['Enter', 'Open it'],
  ['Esc', 'Close what is open, or clear the filter'],
  ['/', 'Filter'],
  ['n', 'Show the new results; in a study: next image'],
  ['p', 'In a study: image before'],
  ['a', 'Accept the finding'],
  ['c', 'Correct the finding'],
  ['r', 'The study is reviewed'],
  ['f', 'Full image, and back'],
  ['?', 'These keys'],
] as const

export function KeysDialog({ open, onClose }: { open: boolean; onClose(): void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    if (open) dialog.current?.showModal()
    else dialog.current?.close()
  }, [open])
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="keys-title">
      <div className="keys">
        <header>
          <h2 id="keys-title">Keyboard</h2>
          <button type="button" className="button icon" aria-label="Close" onClick={onClose}>
            <CloseIcon />
          </button>
        </header>
        <dl>
          {keys.map(([key, words]) => (
            <Key key={key} name={key} words={words} />
          ))}
        </dl>
      </div>
    </dialog>
  )
}

function Key({ name, words }: { name: string; words: string }) {
  return (
    <>
      <dt>
        <kbd>{name}</kbd>
      </dt>
      <dd>{words}</dd>
    </>
  )
}
