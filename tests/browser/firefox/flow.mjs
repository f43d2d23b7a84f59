// The main flow in Firefox: sign in, upload by the file chooser, share, and download in another context.
// Arguments: the URL of the service, a token, the path of a file, and a directory for downloads. Prints
// what it saw as JSON.
import { existsSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import puppeteer from 'puppeteer-core'

const [url, token, file, downloads, executablePath] = process.argv.slice(2)
const name = path.basename(file)
const seen = { errors: [] }

const browser = await puppeteer.launch({
  browser: 'firefox',
  protocol: 'webDriverBiDi',
  executablePath,
  extraPrefsFirefox: {
    'browser.download.folderList': 2,
    'browser.download.dir': downloads,
    'intl.accept_languages': 'en-GB',
  },
})
try {
  const page = await newPage(browser)
  await page.goto(`${url}/sign-in`)
  await page.type('#token', token)
  await Promise.all([page.waitForNavigation(), page.click('main [type=submit], main .button')])

  const [chooser] = await Promise.all([page.waitForFileChooser(), page.click('label[for=file]')])
  await chooser.accept([file])
  await page.waitForSelector('.transfer[data-state=done]')
  await page.waitForSelector('tbody tr')
  seen.listed = await page.$$eval('tbody th bdi', (names) => names.map(({ textContent }) => textContent))

  await page.click('[data-do=share]')
  await page.type('#share [name=uses]', '1')
  await page.click('#share .fields .button')
  await page.waitForSelector('#share figure svg')
  const link = await page.$eval('.made-link input', ({ value }) => value)

  const stranger = await newPage(await browser.createBrowserContext())
  await stranger.goto(link)
  seen.landing = await stranger.$eval('h1', ({ textContent }) => textContent)
  seen.uses = await stranger.$eval('#uses', ({ textContent }) => textContent)
  await stranger.click('a[download]')
  await arrived(path.join(downloads, name))
} finally {
  await browser.close()
}
console.log(JSON.stringify(seen))

async function newPage(context) {
  const page = await context.newPage()
  page.on('pageerror', (error) => seen.errors.push(error.message))
  page.on('console', (message) => message.type() === 'error' && seen.errors.push(message.text()))
  return page
}

// Firefox writes to a file beside the one that it downloads, and renames it at the end.
async function arrived(download) {
  for (const end = Date.now() + 30_000; !existsSync(download) || existsSync(`${download}.part`); await pause(50)) {
    if (Date.now() > end) throw new Error(`there is no ${download}`)
  }
}
