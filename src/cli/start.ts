/**
 * Prepares the process before the program is loaded.
 */
import module from 'node:module'
import { isPrivate, userFolders } from '../node/folders.ts'
import { inCi } from './io.ts'

export async function start(): Promise<void> {
  useCompileCache()
  // Source maps are loaded only if a stack may be printed, because that takes time.
  if (process.argv.some((argument) => argument === '--verbose' || argument === '-v')) process.setSourceMapsEnabled(true)
  return (await import('./program.ts')).runProcess()
}

/**
 * Enables the compile cache (Node 22.8), in a private folder. Node's default folder is shared by all users of a
 * machine, and its content is executed. The cache is optional.
 */
function useCompileCache(): void {
  const { enableCompileCache } = module as { enableCompileCache?: (folder: string) => void }
  if (!enableCompileCache || inCi({ environment: process.env })) return
  const folder = userFolders()?.cache
  if (folder !== undefined && isPrivate(folder)) enableCompileCache(folder)
}
