import { lazy, Suspense } from 'react'
import { get } from '../api/client.ts'
import { itemsOf, toModel } from '../api/shape.ts'
import { useLoaded } from '../hooks.ts'
import { DropZone } from '../try/drop-zone.tsx'
import { UploadList } from '../try/upload-list.tsx'
import { Skeleton } from '../ui/basics.tsx'
import type { Uploads } from '../uploads.ts'

const DigitCanvas = lazy(() => import('../try/digit-canvas.tsx').then(({ DigitCanvas }) => ({ default: DigitCanvas })))

/** Send an image, or draw one. */
export function TryView({ uploads }: { uploads: Uploads }) {
  const models = useLoaded('models', signal => get('/models', itemsOf(toModel), signal))
  return (
    <div className="page">
      <div className="inner try">
        <section aria-labelledby="send-title">
          <h1 id="send-title">Send an image</h1>
          <DropZone uploads={uploads} models={models.value ?? []} />
          <UploadList uploads={uploads} />
        </section>
        <section aria-labelledby="draw-title">
          <h1 id="draw-title">Draw a digit</h1>
          <Suspense fallback={<Skeleton height={360} />}>
            <DigitCanvas models={models.value} problem={models.problem} />
          </Suspense>
        </section>
      </div>
    </div>
  )
}
