/** Parts of forms. */

export function Field({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is the child
    <label className="labelled">
      <span className="small muted">{name}</span>
      {children}
    </label>
  )
}
