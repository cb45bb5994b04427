/** Where a model's input lies in the stored image: what turns what a model says of its input into pixels of the image. */

/** One axis: from..to of the input shows start..end of the image, both in pixels, edges and not centres. */
export interface Along {
  from: number
  to: number
  start: number
  end: number
}

export interface Placement {
  x: Along
  y: Along
}

/** The whole image fills the whole input. */
export const wholeOf = (width: number, height: number, inputWidth: number, inputHeight: number): Placement => ({
  x: { from: 0, to: inputWidth, start: 0, end: width },
  y: { from: 0, to: inputHeight, start: 0, end: height },
})

/** From the input to the image. What lies beside the image, as the black of `pad`, becomes its edge. */
export function toStored({ from, to, start, end }: Along, at: number): number {
  const stored = start + ((at - from) * (end - start)) / (to - from)
  return Math.min(end, Math.max(start, stored))
}

/** From the image to the input; undefined for what the model was not shown. */
export function toInput({ from, to, start, end }: Along, at: number): number | undefined {
  return at < start || at > end ? undefined : from + ((at - start) * (to - from)) / (end - start)
}
