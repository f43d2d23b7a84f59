// The script of the upload page. Without scripts the page lists and uploads files as well.
import { copy } from './clipboard.js'
import * as deletion from './deletion.js'
import * as list from './list.js'
import * as preview from './preview.js'
import * as selection from './selection.js'
import * as share from './share.js'
import { t } from './text.js'
import * as thumbnails from './thumbnails.js'
import * as uploads from './uploads.js'

list.handle('preview', preview.show)
list.handle('copy', (row) => copy(list.urlOf(row), t('link')))
list.handle('curl', (row) => copy(curlCommand(row), t('command')))
list.handle('delete', (row) => deletion.remove([row]))
list.handle('share', share.show)
list.handle('links', share.showLinks)
list.handle('more', (row, button) => button.setAttribute('aria-expanded', row.toggleAttribute('data-open')))
for (const part of [preview, share, deletion, selection, thumbnails, list]) part.start()
uploads.start(list.showNewest, deletion.settle)

// Return a command that downloads a file; it asks for a token if the reader has signed in.
function curlCommand(row) {
  const credentials = 'signedIn' in row.closest('table').dataset ? '-u token ' : ''
  return `curl -fOJ ${credentials}'${list.urlOf(row).replaceAll("'", '%27')}'`
}
