import { useRef, useState } from 'react'
import type { ModelInfo } from '../api/types.ts'
import { UploadIcon } from '../ui/icons.tsx'
import type { Uploads } from '../uploads.ts'

export function DropZone({ uploads, models }: { uploads: Uploads; models: readonly ModelInfo[] }) {
  const [model, setModel] = useState('')
  const [over, setOver] = useState(false)
  const input = useRef<HTMLInputElement>(null)
  const send = (files: FileList | null) => {
    if (files && files.length > 0) uploads.add([...files], { model: model || null })
  }
  const chosen = models.find(({ ref }) => ref.name === model)
  return (
    <>
      <section
        aria-label="Drop images here"
        className={over ? 'drop-zone over' : 'drop-zone'}
        onDragOver={event => {
          event.preventDefault()
          setOver(true)
        }}
        onDragLeave={() => setOver(false)}
        onDrop={event => {
          event.preventDefault()
          setOver(false)
          send(event.dataTransfer.files)
        }}
      >
        <UploadIcon />
        <p>Drop DICOM, PNG, JPEG or TIFF files here, or a ZIP of these</p>
        <button type="button" className="button primary" onClick={() => input.current?.click()}>
          Choose files
        </button>
        <input
          ref={input}
          type="file"
          multiple
          hidden
          aria-label="Files to send"
          onChange={event => {
            send(event.target.files)
            event.target.value = ''
          }}
        />
      </section>
      <label className="model-choice">
        <span>Model</span>
        <select className="field" value={model} onChange={event => setModel(event.target.value)}>
          <option value="">By the routing rules</option>
          {models
            .filter(({ state }) => state === 'ready')
            .map(({ ref, manifest }) => (
              <option key={ref.name} value={ref.name}>
                {manifest.title} ({ref.name}@{ref.version})
              </option>
            ))}
        </select>
      </label>
      <p className="muted small">
        {chosen
          ? `Only ${chosen.ref.name} is asked, whatever the image says of itself. ${chosen.manifest.card.limits}`
          : 'Each model that accepts the image analyses it. A plain picture says neither modality nor body part: choose its model.'}
      </p>
    </>
  )
}
