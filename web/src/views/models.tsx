import { get } from '../api/client.ts'
import { itemsOf, toModel } from '../api/shape.ts'
import type { ModelInfo } from '../api/types.ts'
import { bytes, short } from '../format.ts'
import { useLoaded } from '../hooks.ts'
import { followLink } from '../router.ts'
import { CopyButton, ProblemNotice, SkeletonRows } from '../ui/basics.tsx'
import { DoneIcon, FaultIcon } from '../ui/icons.tsx'
import { Quality } from '../ui/quality.tsx'

/** Which models are loaded, what they take, and what they are worth. */
export function ModelsView({ selected }: { selected: string | null }) {
  const models = useLoaded('models', signal => get('/models', itemsOf(toModel), signal))
  return (
    <div className="page">
      <div className="inner">
        <header className="page-head">
          <h1>Models</h1>
          <p className="muted">
            A model is a folder with its manifest, weights and card. Adding one is adding a folder.
          </p>
        </header>
        {models.problem && <ProblemNotice problem={models.problem} retry={models.reload} />}
        {!models.value && models.loading && <SkeletonRows count={3} height={160} />}
        {models.value?.length === 0 && <p className="notice">No model is loaded. “raylog doctor” says why.</p>}
        <div className="models">
          {models.value?.map(model => (
            <Model key={`${model.ref.name}@${model.ref.version}`} model={model} current={model.ref.name === selected} />
          ))}
        </div>
      </div>
    </div>
  )
}

const stateWords = { loading: 'Loading', ready: 'Ready', failed: 'Failed' }

function Model({ model, current }: { model: ModelInfo; current: boolean }) {
  const { manifest, ref, state, reason } = model
  const { accepts, card, input, output } = manifest
  return (
    <article className={current ? 'model current' : 'model'}>
      <header>
        <h2>{manifest.title}</h2>
        <span className="mono muted">
          {ref.name}@{ref.version}
        </span>
        <span className="spring" />
        <span className="state small">
          {state === 'failed' ? <FaultIcon /> : <DoneIcon />} {stateWords[state]}
        </span>
      </header>
      {reason && <p className="notice small">{reason}</p>}
      <div className="model-body">
        <div>
          <h3>Quality</h3>
          <Quality quality={card.quality} />
          <p className="small muted">{card.limits}</p>
        </div>
        <div>
          <h3>Takes</h3>
          <dl className="facts-list small">
            <Accepts name="Modality" values={accepts.modalities} />
            <Accepts name="Body part" values={accepts.bodyParts} />
            <Accepts name="View" values={accepts.views} />
            <Accepts name="Pixels" values={accepts.photometric} />
            <Accepts name="Content" values={accepts.contentTypes.map(type => type.replace(/^\w+\//, ''))} />
          </dl>
        </div>
        <div>
          <h3>About</h3>
          <dl className="facts-list small">
            <dt className="muted">Says</dt>
            <dd>
              {output.labels.join(', ')}
              {output.threshold !== undefined && `; ${output.positive} from ${output.threshold}`}
            </dd>
            <dt className="muted">Input</dt>
            <dd>
              {input.width} × {input.height} {input.channels}
            </dd>
            <dt className="muted">Weights</dt>
            <dd className="digest">
              <code title={ref.digest}>{short(ref.digest, 12)}</code> {bytes(manifest.weights.bytes)}
              <CopyButton text={ref.digest} what="SHA-256 of the weights" />
            </dd>
            <dt className="muted">Runtime</dt>
            <dd>{ref.runtime}</dd>
            <dt className="muted">Licence</dt>
            <dd>{card.licence}</dd>
          </dl>
        </div>
      </div>
      <p className="small">{card.intendedUse}</p>
      <p className="small muted">Data: {card.data}</p>
      <a className="small" href={`/?model=${encodeURIComponent(ref.name)}`} onClick={followLink}>
        Its results
      </a>
    </article>
  )
}

function Accepts({ name, values }: { name: string; values: readonly string[] }) {
  return (
    <>
      <dt className="muted">{name}</dt>
      <dd>{values.length === 0 ? 'any' : values.join(', ')}</dd>
    </>
  )
}
