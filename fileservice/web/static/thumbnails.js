// Thumbnails of images in the list. The browser makes them from the files, of those that are in
// view, two at a time, and keeps only the small picture.
import * as list from './list.js'

const SIZE = 80 // pixels; twice what is shown, for dense screens
const MAX_LOADING = 2

const pictures = new Map() // URL and time of a file → its thumbnail, null if it has none
const waiting = []
let loading = 0

export function start() {
  if (navigator.connection?.saveData) return
  const observer = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue
      observer.unobserve(target)
      waiting.push(target)
    }
    loadNext()
  })
  list.whenShown(() => {
    observer.disconnect()
    waiting.length = 0
    for (const place of document.querySelectorAll('#files [data-thumbnail]')) {
      if (pictures.has(keyOf(place))) put(place)
      else observer.observe(place)
    }
  })
}

function keyOf(place) {
  const row = place.closest('tr')
  return `${row.querySelector('.modified time').dateTime} ${list.urlOf(row)}`
}

async function loadNext() {
  while (loading < MAX_LOADING && waiting.length) {
    const place = waiting.shift()
    if (!place.isConnected) continue
    loading++
    const key = keyOf(place)
    make(`${list.urlOf(place.closest('tr'))}?inline=1`).then((picture) => {
      loading--
      pictures.set(key, picture)
      put(place)
      loadNext()
    })
  }
}

function put(place) {
  const picture = pictures.get(keyOf(place))
  if (!picture) return
  place.dataset.thumbnail = 'shown'
  place.replaceChildren(picture)
}

// Return a canvas with the middle of an image; null if it cannot be shown.
async function make(url) {
  const image = new Image()
  image.decoding = 'async'
  image.fetchPriority = 'low'
  image.src = url
  try {
    await image.decode()
  } catch {
    return null
  }
  const side = Math.min(image.naturalWidth, image.naturalHeight)
  if (!side) return null
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = SIZE
  const [x, y] = [(image.naturalWidth - side) / 2, (image.naturalHeight - side) / 2]
  canvas.getContext('2d').drawImage(image, x, y, side, side, 0, 0, SIZE, SIZE)
  return canvas
}
