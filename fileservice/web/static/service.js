// The service as the form of the page describes it: where it is, what the reader may do there, and
// which files it takes.
import * as format from './format.js'
import { send } from './http.js'
import { t } from './text.js'
import { UnfinishedUploads } from './unfinished.js'

const MAX_NAME_BYTES = 255
const RESERVED = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *([.:].*)?$/i // by Windows

export class Service {
  // URLs are relative to that of the page, since a proxy may have put a path before it.
  // `ready()` waits for what must be done before a file is stored.
  constructor({ dataset, elements }, ready) {
    this.ready = ready
    this.root = new URL(dataset.root ?? '.', location.href)
    this.headers = dataset.bearer ? { Authorization: `Bearer ${dataset.bearer}` } : {}
    this.isLink = Boolean(dataset.bearer)
    this.maxSize = Number(dataset.maxSize)
    this.extensions = elements.file.accept.replaceAll('.', '').split(',')
    this.prefix = dataset.prefix
    this.addsPrefix = 'addPrefix' in dataset // to names that do not begin with it
    this.may = new Set(dataset.may.split(' '))
    this.mayReplace = this.may.has('delete') && (this.may.has('list') || this.may.has('read'))
    this.unfinished = new UnfinishedUploads(dataset.link)
  }

  url(path) {
    return new URL(path, this.root).href
  }

  urlOfFile(name) {
    return this.url(`download/${encodeURIComponent(name)}`)
  }

  // Send a request, like `send` in http.js, with the credentials of the page.
  send(method, path, { headers = {}, ...options } = {}) {
    return send(method, this.url(path), { headers: { ...this.headers, ...headers }, ...options })
  }

  // Return the name under which a file is to be stored.
  nameOf(file) {
    const name = file.name.normalize('NFC')
    return this.addsPrefix && !name.startsWith(this.prefix) ? this.prefix + name : name
  }

  // Return why the service would refuse a file, as far as the page knows; null otherwise.
  reasonToRefuse(name, size) {
    if (!name.startsWith(this.prefix)) return t('refused-prefix', { prefix: this.prefix })
    if (new TextEncoder().encode(name).length > MAX_NAME_BYTES) return t('refused-long-name', { bytes: MAX_NAME_BYTES })
    if (/^[.\s]|[/\\\p{Cc}]|[.\s]$/u.test(name) || RESERVED.test(name)) return t('refused-name')
    const [, extension] = /[^.]\.([^.]+)$/.exec(name) ?? []
    if (!extension) return t('refused-no-extension')
    if (!this.extensions.includes(extension.toLowerCase())) return t('refused-extension', { extension })
    return size > this.maxSize ? t('refused-size', { size: format.size(this.maxSize) }) : null
  }
}
