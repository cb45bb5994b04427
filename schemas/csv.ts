/** Lines of a table as CSV (RFC 4180). */

/**
 * A text that a spreadsheet would take for a formula gets an apostrophe before it, and is shown as a text: labels and
 * modalities are whatever a model or a device sent.
 */
export const csvLine = (cells: readonly (string | number | boolean | null)[]): string =>
  `${cells.map(cellOf).join(',')}\r\n`

function cellOf(cell: string | number | boolean | null): string {
  if (cell === null) return ''
  if (typeof cell !== 'string') return String(cell)
  // Spreadsheets also look behind white space, and take the wide forms for the plain ones.
  const text = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r]/.test(cell) ? `'${cell}` : cell
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
