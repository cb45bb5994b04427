/** Where a model marks an image on the page, and what its answer rests on, beside the answer. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { columns, rows, sendMarked, startMarking } from '../harness/marking.ts'
import type { Raylog } from '../harness/raylog.ts'
import { browserPath, type OpenPage, openPage, out, overflow, unnamed } from './browser.ts'

describe.skipIf(!browserPath)(
  `an answer that is explained (${browserPath ? 'in a browser' : 'skipped: no chromium is installed'})`,
  () => {
    let raylog: Raylog
    let removeModel: () => void
    let opened: OpenPage
    beforeAll(async () => {
      ;({ raylog, removeModel } = await startMarking())
      opened = await openPage()
    })
    afterAll(async () => {
      await opened?.[Symbol.asyncDispose]()
      await raylog?.[Symbol.asyncDispose]()
      removeModel?.()
    })

    it('has its picture with what that is; where it is gone, that is said', async () => {
      const { page, complaints } = opened
      const { instance, predictions } = await sendMarked(raylog)
      await page.goto(`${raylog.url}/?token=${raylog.token}`)
      await page.goto(`${raylog.url}/instances/${instance.id}`)
      const figure = page.locator('.explained')
      await figure.getByText('What speaks most for “bright” to marks within this image').waitFor()
      const size = () =>
        figure.locator('img').evaluate(async element => {
          const image = element as unknown as { decode(): Promise<void>; naturalWidth: number; naturalHeight: number }
          await image.decode()
          return [image.naturalWidth, image.naturalHeight]
        })
      expect(await size()).toEqual([columns, rows])
      // The outline is where the rectangle is in the picture, which is shown whole in the middle of its place.
      const place = await page.locator('.picture').boundingBox()
      const outline = await page.locator('.outlines polygon').boundingBox()
      const { width = 0, height = 0 } = place ?? {}
      const scale = Math.min(width / columns, height / rows)
      const off = [
        (outline?.x ?? 0) - (place?.x ?? 0) - (width - columns * scale) / 2 - 10 * scale,
        (outline?.y ?? 0) - (place?.y ?? 0) - (height - rows * scale) / 2 - 6 * scale,
        (outline?.width ?? 0) - 12 * scale,
        (outline?.height ?? 0) - 8 * scale,
      ]
      // To a pixel of the image, which is some ten of the screen: the line has a width of its own.
      for (const by of off) expect(Math.abs(by)).toBeLessThan(scale)
      await page.getByText('Outlined by a model: bright').waitFor()
      await page.screenshot({ path: join(out, 'explained.png') })
      expect(await unnamed(page)).toEqual([])
      expect(await overflow(page)).toBe(0)
      expect(complaints.list).toEqual([])
      await page.getByRole('button', { name: 'Outlines of models' }).click()
      expect(await page.locator('.outlines').count()).toBe(0)

      rmSync(join(raylog.data, 'objects', predictions[0]?.explanation ?? 'nothing'))
      // A browser that has not seen it, and keeps nothing of it.
      await using other = await openPage()
      await other.page.goto(`${raylog.url}/?token=${raylog.token}`)
      await other.page.goto(`${raylog.url}/instances/${instance.id}`)
      await other.page.getByText('The picture of what it rests on cannot be shown.').waitFor()
    })
  },
)
