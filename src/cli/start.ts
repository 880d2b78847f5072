/**
 * Prepares the process before the program is loaded.
 */
import { join } from 'node:path'
import { isPrivate, userFolders } from '../node/folders.ts'
import { inCi } from './ci.ts'
import { keepCode } from './code-cache.ts'

/** The build writes its digest here. */
const BUILD = '{digest of the build}'

export async function start(loaders: NodeJS.RequireExtensions): Promise<void> {
  // Source maps are loaded only if a stack may be printed, because that takes time. Node finds them for what it compiles.
  if (process.argv.some((argument) => argument === '--verbose' || argument === '-v')) process.setSourceMapsEnabled(true)
  else if (!hasSourceMaps()) keepCompiledCode(loaders)
  return (await import('./program.ts')).runProcess()
}

/** `process.sourceMapsEnabled` is newer than the oldest Node that is supported. */
function hasSourceMaps(): boolean {
  return [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].some((text) => text.includes('--enable-source-maps'))
}

/** In a private folder, and not in CI, where nothing is kept. */
function keepCompiledCode(loaders: NodeJS.RequireExtensions): void {
  if (inCi({ environment: process.env })) return
  const folder = userFolders()?.cache
  if (folder === undefined || !isPrivate(folder)) return
  const [, , command = ''] = process.argv
  keepCode({
    folder: join(folder, 'code'),
    command: /^[a-z]{1,16}$/.test(command) ? command : 'other',
    program: import.meta.dirname,
    build: BUILD,
    loaders,
  })
}
