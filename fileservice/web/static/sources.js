// Where the files to upload come from: the fields of the form, what is dropped, and the clipboard.
import { t } from './text.js'

// Have `onFiles(files, {isFolder})` called with the files; of a folder the user did not choose each.
// The names that pasted images get begin with `prefix`.
export function listen({ input, folders, prefix }, onFiles) {
  for (const field of [input, folders]) {
    const take = () => {
      const files = [...field.files]
      field.value = ''
      onFiles(files, { isFolder: field === folders })
    }
    field.addEventListener('change', take)
    if (field.files.length) take() // what was chosen before this script ran
  }
  acceptDrops(onFiles)
  addEventListener('paste', ({ clipboardData, target }) => {
    if (clipboardData.files.length && !target.closest?.('input, textarea')) onFiles([...clipboardData.files].map((file) => named(file, prefix)), {})
  })
}

// Files cover the window while they are dragged over it, so they leave it when they leave the cover.
function acceptDrops(onFiles) {
  const cover = document.getElementById('cover')
  const hasFiles = (event) => event.dataTransfer?.types.includes('Files')
  const show = (isDragging) => document.body.classList.toggle('dragging', isDragging)
  for (const type of ['dragenter', 'dragover']) {
    addEventListener(type, (event) => {
      if (!hasFiles(event)) return
      event.preventDefault()
      show(true)
    })
  }
  cover.addEventListener('dragleave', () => show(false))
  addEventListener('drop', async (event) => {
    if (!hasFiles(event)) return
    event.preventDefault()
    show(false)
    // After the first pause there are no items any more.
    const items = [...event.dataTransfer.items].filter((item) => item.kind === 'file')
    const found = items.map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }))
    const folders = found.filter(({ entry }) => entry?.isDirectory)
    const files = found.filter(({ entry }) => !entry?.isDirectory).map(({ file }) => file)
    if (files.length) onFiles(files, {})
    for (const { entry } of folders) onFiles(await filesOf(entry), { isFolder: true })
  })
}

// Return the files in a folder and the folders in it, except those that cannot be read.
async function filesOf(entry) {
  if (entry.isFile) return new Promise((resolve) => entry.file((file) => resolve([file]), () => resolve([])))
  const reader = entry.createReader()
  const files = []
  for (;;) {
    const entries = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])))
    if (!entries.length) return files // a browser returns some entries at a time
    for (const child of entries) files.push(...await filesOf(child))
  }
}

// Browsers call each image of the clipboard image.png: return it with the date as its name.
function named(file, prefix) {
  const [, extension] = /^image(\.[a-z]+)$/.exec(file.name) ?? []
  if (!extension) return file
  const now = new Date()
  const local = new Date(now - 60_000 * now.getTimezoneOffset()).toISOString()
  const date = `${local.slice(0, 10)} ${local.slice(11, 19).replaceAll(':', '.')}`
  return new File([file], `${prefix}${t('upload-pasted', { date })}${extension}`, { type: file.type, lastModified: file.lastModified })
}
