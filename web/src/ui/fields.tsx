/** Parts of forms. */
import { fromLocal, toLocal } from '../times.ts'

export function Field({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is the child
    <label className="labelled">
      <span className="small muted">{name}</span>
      {children}
    </label>
  )
}

/**
 * While it is no whole time yet the browser says that it is empty, and keeps what was typed as long as nothing else is written there.
 *
 * @param onChange NaN where it is no time
 */
export function TimeField({ name, at, onChange }: { name: string; at: number | null; onChange(at: number): void }) {
  return (
    <Field name={name}>
      <input
        type="datetime-local"
        step="1"
        className="field"
        value={at === null ? '' : toLocal(at)}
        onChange={event => onChange(fromLocal(event.target.value))}
      />
    </Field>
  )
}

interface ChoiceProps<T extends string> {
  /** What is chosen. */
  name: string
  /** Whether it stands above for all to see. */
  named?: boolean
  /** Values with the words for them, in their order. */
  among: readonly (readonly [T, string])[]
  chosen: T
  onChoose(value: T): void
}

/** One of a few, all of them in sight. */
export function Choice<T extends string>({ name, named = false, among, chosen, onChoose }: ChoiceProps<T>) {
  return (
    <fieldset className="choice">
      <legend className={named ? 'small muted' : 'hidden'}>{name}</legend>
      {among.map(([value, words]) => (
        <button
          key={value}
          type="button"
          className="button"
          aria-pressed={value === chosen}
          onClick={() => onChoose(value)}
        >
          {words}
        </button>
      ))}
    </fieldset>
  )
}
