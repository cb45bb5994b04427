/* Shows what comes by Web Push, also while no page is open. A newer message of a notification takes the place of the one before. */
self.addEventListener('push', event => {
  let said = {}
  try {
    said = event.data.json()
  } catch {
    // Not ours: still to be shown, since browsers take the permission back from those who show nothing.
  }
  const { notice = '', study = '', title = 'Raylog', body = '', critical = false, redelivered = false } = said
  const text = redelivered ? `${body}\nThis may be a repeat.` : body
  const options = {
    body: text,
    tag: notice,
    renotify: notice !== '',
    requireInteraction: critical,
    icon: '/icon.svg',
    data: { notice, study },
  }
  event.waitUntil(self.registration.showNotification(title, options))
})

self.addEventListener('notificationclick', event => {
  event.notification.close()
  const { notice, study } = event.notification.data ?? {}
  const id = encodeURIComponent(notice ?? '')
  // What the worker before this one has shown has no study.
  const url = notice && study ? `/worklist/${encodeURIComponent(study)}?notice=${id}` : `/notifications/${id}`
  event.waitUntil(self.clients.openWindow(url))
})
