// The upload page. Without scripts it lists and uploads all the same.
import * as list from './list.js'
import * as uploads from './uploads.js'

list.start()
uploads.start(list.refresh)
