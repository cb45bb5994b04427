/** Pixels of one frame or picture; more is refused before anything of that size is allocated. */
export const maxPixels = 50_000_000
