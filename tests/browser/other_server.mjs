// @tus/server with its file store: `node other_server.mjs DIRECTORY`. Prints its port.
import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'

const datastore = new FileStore({ directory: process.argv[2] })
const server = new Server({ path: '/files', datastore })
const listener = server.listen({ host: '127.0.0.1', port: 0 }, () => {
  console.log(listener.address().port)
})
