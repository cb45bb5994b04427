// Before the first paint, so that the page never flashes in the other theme. Dark is the default.
;(() => {
  let choice = 'dark'
  try {
    choice = localStorage.getItem('raylog.theme') || 'dark'
  } catch {
    choice = 'dark' // storage is switched off: the default stays
  }
  const light = choice === 'light' || (choice === 'system' && matchMedia('(prefers-color-scheme: light)').matches)
  document.documentElement.dataset.theme = light ? 'light' : 'dark'
})()
