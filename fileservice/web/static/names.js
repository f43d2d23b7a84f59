// Which names are taken, by stored files and by those that are being uploaded.
import { expect } from './http.js'

const MAX_NUMBERED = 1000 // names like report (2).pdf that are looked at

export class Names {
  // `isReserved(name)` tells whether a file of the queue is to have a name.
  constructor(service, isReserved) {
    this.service = service
    this.isReserved = isReserved
  }

  // Return whether there is a file with this name; false to those who may not know.
  async isTaken(name) {
    if (!this.service.may.has('list')) return false
    const [record] = await this.#list({ prefix: name, limit: 1 })
    return record?.filename === name
  }

  // Return the name of a file with a number that makes it free, null if none is found. `refused` is
  // the one that was not: those who may not list the files learn only that.
  async freeName(refused, file) {
    const [, stem, extension] = /^(.*)(\.[^.]*)$/.exec(this.service.nameOf(file))
    const beginning = `${stem} (`
    let taken = []
    if (this.service.may.has('list')) {
      try {
        taken = (await this.#list({ prefix: beginning, limit: MAX_NUMBERED })).map((record) => record.filename)
      } catch {
        // The name that is then offered may be refused as well.
      }
    }
    let number = refused.startsWith(beginning) ? parseInt(refused.slice(beginning.length)) + 1 || 2 : 2
    let name
    do name = `${beginning}${number++})${extension}`
    while (taken.includes(name) || this.isReserved(name))
    return this.service.reasonToRefuse(name, file.size) ? null : name
  }

  // Return the entity tag of the file with this name, or * if the reader may replace it without
  // reading it; null if the reader may not replace it.
  async versionOf(name) {
    if (!this.service.mayReplace || this.isReserved(name)) return null
    if (!this.service.may.has('read')) return '*'
    try {
      return (await this.service.send('HEAD', this.service.urlOfFile(name))).header('ETag')
    } catch {
      return null
    }
  }

  async #list(parameters) {
    const response = await this.service.send('GET', `download?${new URLSearchParams(parameters)}`)
    return JSON.parse(expect(response, 200).text)
  }
}
