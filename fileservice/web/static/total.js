// How far all uploads together are: in the page, its title and its icon.
import { announce } from './announce.js'
import * as format from './format.js'
import { t } from './text.js'

const INTERVAL = 250 // ms between two drawings
const title = document.title
const icon = document.querySelector('link[rel=icon]')
const plainIcon = icon.href

export class Total {
  // `box` has a text and a progress bar.
  constructor(box, queue) {
    this.text = box.querySelector('.text')
    this.bar = box.querySelector('progress')
    this.queue = queue
    this.batch = [] // the transfers since no others were active
    this.quarter = 0
    this.timer = null
  }

  // Count a transfer, which may be one that was counted before.
  add(transfer) {
    if (!this.batch.some(({ isActive }) => isActive)) {
      this.batch = []
      this.quarter = 0
    }
    if (!this.batch.includes(transfer)) this.batch.push(transfer)
    this.update()
  }

  update() {
    this.timer ??= setTimeout(() => this.#draw(), INTERVAL)
  }

  #draw() {
    this.timer = null
    const counted = this.batch.filter((transfer) => this.queue.transfers.includes(transfer) || transfer.state === 'done')
    const accepted = counted.filter(({ state }) => state !== 'refused')
    const active = accepted.filter(({ isActive }) => isActive)
    const sum = (transfers, value) => transfers.reduce((total, transfer) => total + value(transfer), 0)
    const size = sum(accepted, ({ file }) => file.size)
    const sent = sum(accepted, ({ sent }) => sent)
    const rate = sum(active, ({ rate }) => rate)
    const fraction = size ? sent / size : 0
    const stored = accepted.length - active.length
    this.bar.value = fraction
    this.bar.hidden = !active.length
    const parts = counted.length ? [t('total-stored', { stored, count: counted.length })] : []
    if (counted.length > accepted.length) parts.push(t('total-refused', { count: counted.length - accepted.length }))
    if (active.length) parts.push(t('upload-progress', { sent: format.size(sent), size: format.size(size) }))
    if (rate) parts.push(t('upload-rate', { rate: format.size(rate) }), t('upload-left', { duration: format.duration((size - sent) / rate) }))
    this.text.textContent = parts.join(' · ')
    this.#drawOutside(active, fraction)
    const quarter = Math.floor(4 * fraction)
    if (active.length && quarter > this.quarter && quarter < 4) {
      this.quarter = quarter
      const percent = format.percent(quarter / 4)
      announce(accepted.length === 1 ? t('upload-percent', { name: accepted[0].name, percent }) : t('total-percent', { percent }))
    }
  }

  // Draw what is seen while the tab is in the background.
  #drawOutside(active, fraction) {
    document.title = active.length ? `${format.percent(Math.floor(100 * fraction) / 100)} · ${title}` : title
    const href = active.length ? new URL(`./progress-${25 * Math.min(3, Math.floor(4 * fraction))}.svg`, import.meta.url).href : plainIcon
    if (icon.href !== href) icon.href = href
  }
}
