/** Drawing on a canvas: white ink on black, as the digits model was trained. */

const lineWidth = 20

export class Ink {
  readonly #canvas: HTMLCanvasElement
  readonly #context: CanvasRenderingContext2D
  readonly #changed: () => void
  readonly #abort = new AbortController()
  #last: { x: number; y: number } | null = null

  /** @param changed called after each stroke or part of one */
  constructor(canvas: HTMLCanvasElement, changed: () => void) {
    const context = canvas.getContext('2d')
    if (!context) throw new Error('This browser gives no canvas to draw on.')
    this.#canvas = canvas
    this.#context = context
    this.#changed = changed
    const { signal } = this.#abort
    canvas.addEventListener('pointerdown', event => this.#down(event), { signal })
    canvas.addEventListener('pointermove', event => this.#move(event), { signal })
    for (const name of ['pointerup', 'pointercancel'] as const) {
      canvas.addEventListener(name, () => this.#up(), { signal })
    }
    this.clear()
  }

  clear(): void {
    this.#context.fillStyle = '#000'
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height)
  }

  close(): void {
    this.#abort.abort()
  }

  #at(event: PointerEvent) {
    const box = this.#canvas.getBoundingClientRect()
    return {
      x: ((event.clientX - box.left) / box.width) * this.#canvas.width,
      y: ((event.clientY - box.top) / box.height) * this.#canvas.height,
    }
  }

  #down(event: PointerEvent) {
    if (event.button !== 0) return
    this.#canvas.setPointerCapture(event.pointerId)
    this.#last = this.#at(event)
    this.#line(this.#last, this.#last)
  }

  #move(event: PointerEvent) {
    if (!this.#last) return
    // Browsers gather moves to a frame; all of them make the line round.
    const gathered = event.getCoalescedEvents?.() ?? []
    for (const one of gathered.length > 0 ? gathered : [event]) {
      const to = this.#at(one)
      this.#line(this.#last, to)
      this.#last = to
    }
  }

  #up() {
    this.#last = null
  }

  #line(from: { x: number; y: number }, to: { x: number; y: number }) {
    const context = this.#context
    context.strokeStyle = '#fff'
    context.lineWidth = lineWidth
    context.lineCap = 'round'
    context.beginPath()
    context.moveTo(from.x, from.y)
    context.lineTo(to.x, to.y)
    context.stroke()
    this.#changed()
  }
}
