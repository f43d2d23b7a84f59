// Numbers, sizes and times in the format of the user's locale.

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
const integer = new Intl.NumberFormat()
const oneDecimal = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 })
const dateAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

export function size(bytes) {
  let unit = 0
  for (; bytes >= 1024 && unit < UNITS.length - 1; unit++) bytes /= 1024
  if (bytes === 1 && !unit) return '1 byte'
  return `${(unit ? oneDecimal : integer).format(bytes)} ${UNITS[unit]}`
}

export function duration(seconds) {
  const [amount, unit] = seconds < 90 ? [seconds, 'second'] : seconds < 5400 ? [seconds / 60, 'minute'] : [seconds / 3600, 'hour']
  return new Intl.NumberFormat(undefined, { style: 'unit', unit, unitDisplay: 'long' }).format(Math.max(1, Math.round(amount)))
}

export function percent(fraction) {
  return new Intl.NumberFormat(undefined, { style: 'percent' }).format(fraction)
}

export function date(value) {
  return dateAndTime.format(value)
}
