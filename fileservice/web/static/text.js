// What the page says, in the language of its reader. The page has the texts as JSON; without a page,
// as in tests, their keys stand for them.

const page = globalThis.document
const texts = JSON.parse(page?.getElementById('texts')?.textContent ?? '{}')
const language = page?.documentElement.lang || 'en'

// The reader's own form of the language of the page, such as en-GB, for numbers and times.
export const locale = navigator.languages?.find((tag) => tag.split('-')[0] === language.split('-')[0]) ?? language

const plural = new Intl.PluralRules(locale)
const integer = new Intl.NumberFormat(locale)

// Return what a problem says as a sentence.
export function sentence(detail) {
  return detail[0].toUpperCase() + detail.slice(1).replace(/\.?$/, '.')
}

// Return a text with `values` for its placeholders. The number `count` selects its plural form.
export function t(key, values = {}) {
  const text = texts[key] ?? key
  const form = typeof text === 'string' ? text : (text[plural.select(values.count)] ?? text.other)
  return form.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === 'number' ? integer.format(values[name]) : values[name]))
}
