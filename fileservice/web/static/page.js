// The script of the upload page. Without scripts the page lists and uploads files as well.
import * as list from './list.js'
import * as uploads from './uploads.js'

list.start()
uploads.start(list.refresh)
