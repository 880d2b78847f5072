/**
 * Between the way in and the program: what has to be set before the program is loaded.
 */
import module from 'node:module'
import { isPrivate, userFolders } from '../node/folders.ts'
import { inCi } from './io.ts'

export async function start(): Promise<void> {
  useCompileCache()
  // Where it will print a stack, that shall name the lines of src/; all the maps take a while to read.
  if (process.argv.some((argument) => argument === '--verbose' || argument === '-v')) process.setSourceMapsEnabled(true)
  return (await import('./program.ts')).runProcess()
}

/**
 * Where Node has one (22.8), and where a second run will find it. Not in Node's own place for it: that is one folder
 * for all users of a machine, and what lies there is run. Without it all works as well.
 */
function useCompileCache(): void {
  const { enableCompileCache } = module as { enableCompileCache?: (folder: string) => void }
  if (!enableCompileCache || inCi({ environment: process.env })) return
  const folder = userFolders()?.cache
  if (folder !== undefined && isPrivate(folder)) enableCompileCache(folder)
}
