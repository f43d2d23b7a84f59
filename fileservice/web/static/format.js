// Numbers, sizes and times in the format of the reader's locale.
import { locale, t } from './text.js'

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB']
const oneDecimal = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 })
const dateAndTime = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' })

export function size(bytes) {
  if (bytes < 1024) return t('bytes', { count: bytes })
  let unit = 0
  for (bytes /= 1024; bytes >= 1024 && unit < UNITS.length - 1; unit++) bytes /= 1024
  return `${oneDecimal.format(bytes)} ${UNITS[unit]}`
}

export function duration(seconds) {
  const [amount, unit] = seconds < 90 ? [seconds, 'second'] : seconds < 5400 ? [seconds / 60, 'minute'] : [seconds / 3600, 'hour']
  return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' }).format(Math.max(1, Math.round(amount)))
}

export function percent(fraction) {
  return new Intl.NumberFormat(locale, { style: 'percent' }).format(fraction)
}

export function date(value) {
  return dateAndTime.format(value)
}
