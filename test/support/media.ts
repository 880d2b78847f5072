import { randomBytes } from 'node:crypto'

/**
 * Random bytes, except at the beginning, where a server looks for the format: it takes random ones for an MP3 now and
 * then.
 */
export function unrecognizable(size: number): Buffer {
  return Buffer.concat([Buffer.alloc(512), randomBytes(size - 512)])
}
