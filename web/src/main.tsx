import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import { connectLive } from './live/connection.ts'
import { StoreContext } from './live/context.ts'
import { createStore } from './live/store.ts'
import { followSystem } from './shell/theme.ts'
import { createUploads } from './uploads.ts'
import './styles/tokens.css'
import './styles/base.css'
import './styles/shell.css'
import './styles/strip.css'
import './styles/feed.css'
import './styles/filters.css'
import './styles/marks.css'
import './styles/row.css'
import './styles/panel.css'
import './styles/timing.css'
import './styles/viewer.css'
import './styles/views.css'
import './styles/try.css'

followSystem()
const store = createStore()
const uploads = createUploads()
const root = document.getElementById('root')
if (!root) throw new Error('index.html has no #root')
createRoot(root).render(
  <StrictMode>
    <StoreContext value={store}>
      <App uploads={uploads} />
    </StoreContext>
  </StrictMode>,
)
// Both at once: the lists fill the page, the tail adds what happened meanwhile; the same event twice is one.
void store.loadHistory()
connectLive(store)
