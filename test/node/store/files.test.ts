import { execFileSync } from 'node:child_process'
import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  isTemporary,
  listFolder,
  makePrivateFolder,
  readPrivate,
  removeFile,
  reserve,
  sweepBeside,
  sweepFolder,
  writePrivate,
} from '../../../src/node/store/files.ts'
import { failure } from '../../support/failure.ts'
import { hasTinyDisk, onTinyDisk, startNode, tempFolder } from '../helpers.ts'

const mode = async (path: string) => (await stat(path)).mode & 0o777

/** The most careless umask there is, and the most careful. */
function withUmask(mask: number): void {
  const before = process.umask(mask)
  onTestFinished(() => void process.umask(before))
}

describe('20.5 modes', () => {
  test.each([0o000, 0o022, 0o077])('0600 in 0700 under umask %o', async (mask) => {
    const home = await tempFolder()
    withUmask(mask)
    await writePrivate(join(home, 'a', 'b', 'file'), 'secret')
    const modes = await Promise.all(['a', 'a/b', 'a/b/file'].map((path) => mode(join(home, path))))
    expect(modes).toStrictEqual([0o700, 0o700, 0o600])
  })

  test('a file that everybody could read is private once it is written', async () => {
    const path = join(await tempFolder(), 'file')
    await writeFile(path, 'old')
    await chmod(path, 0o666)
    await writePrivate(path, 'secret')
    expect(await mode(path)).toBe(0o600)
  })

  test('private from its first moment, before there is anything in it', async () => {
    const home = await tempFolder()
    withUmask(0)
    await using _room = await reserve(join(home, 'file'))
    const [name] = await readdir(home)
    expect(await mode(join(home, name!))).toBe(0o600)
  })

  test('the mode of a folder that exists is its owner’s business', async () => {
    const home = await tempFolder()
    await chmod(home, 0o755)
    await makePrivateFolder(home)
    expect(await mode(home)).toBe(0o755)
  })
})

test('many make the same folders at once', async () => {
  const home = await tempFolder()
  for (let round = 0; round < 30; round += 1) {
    const paths = ['a/b', 'a/c', 'a/b/d', 'a/b'].map((path) => join(home, String(round), path))
    await Promise.all(paths.map(makePrivateFolder))
    expect(await readdir(join(home, String(round), 'a'))).toStrictEqual(['b', 'c'])
  }
})

test.runIf(process.platform === 'linux')('a place where nothing can be made: said, not waited for', async () => {
  expect(await failure(makePrivateFolder('/proc/none/inside'))).toMatchObject({ code: 'STORE_UNAVAILABLE' })
})

describe('write and read', () => {
  test.each(['', 'text', 'ü\0\n', 'x'.repeat(200_000)])('%#: gives back what was written', async (text) => {
    const path = join(await tempFolder(), 'file')
    await writePrivate(path, 'something else before')
    await writePrivate(path, text)
    expect(await readPrivate(path)).toBe(text)
    expect(await readdir(join(path, '..'))).toStrictEqual(['file'])
  })

  test('no file, no folder: nothing to read', async () => {
    const home = await tempFolder()
    expect(await readPrivate(join(home, 'none'))).toBeUndefined()
    expect(await readPrivate(join(home, 'none', 'none'))).toBeUndefined()
    expect(await listFolder(join(home, 'none'))).toStrictEqual([])
    await expect(removeFile(join(home, 'none'))).resolves.toBeUndefined()
  })

  test.each([
    ['a folder', (path: string) => mkdir(path)],
    ['a pipe', async (path: string) => void execFileSync('mkfifo', [path])],
    ['a file of 5 MiB', (path: string) => writeFile(path, '').then(() => truncate(path, 5 * 1024 ** 2))],
  ])('%s is not read', async (_, make) => {
    const path = join(await tempFolder(), 'file')
    await make(path)
    expect(await failure(readPrivate(path))).toMatchObject({ code: 'STORE_INVALID' })
  })

  test.each(['target', 'nowhere'])('a link to %s is neither read nor written through nor replaced', async (name) => {
    const home = await tempFolder()
    const path = join(home, 'link')
    await writeFile(join(home, 'target'), 'untouched')
    await symlink(join(home, name), path)
    for (const attempt of [readPrivate, (at: string) => writePrivate(at, 'secret'), reserve]) {
      const error = await failure(attempt(path))
      expect(error).toMatchObject({ code: 'STORE_INVALID' })
      expect(error.message).toContain('symbolic link')
    }
    expect((await lstat(path)).isSymbolicLink()).toBe(true)
    expect(await readFile(join(home, 'target'), 'utf8')).toBe('untouched')
    expect((await readdir(home)).sort()).toStrictEqual(['link', 'target'])
  })
})

describe('nothing is half-written', () => {
  test('where the system takes only a part, the file stays as it was', async () => {
    const home = await tempFolder()
    await writePrivate(join(home, 'file'), 'old')
    const code = `
      const { reserve, writePrivate } = await import(process.env.SRC + 'node/store/files.ts')
      const path = process.argv[1]
      const said = await writePrivate(path, 'x'.repeat(100_000)).catch((error) => error.code + ' ' + error.message)
      // The room is enough for the limit, the text is not: its first part is taken without an error.
      const room = await reserve(path, 1000)
      const later = await room.fill('y'.repeat(100_000)).catch((error) => error.code)
      await room[Symbol.asyncDispose]()
      console.log(said + ', ' + later)`
    const limited = ['bash', '-c', 'ulimit -f 32; exec "$@"', 'bash'] // KiB
    const { stdout, stderr } = await startNode(code, [join(home, 'file')], limited).ended
    expect({ stdout, stderr }).toStrictEqual({
      stdout: `STORE_UNAVAILABLE cannot write ${home}/file: file too large, STORE_UNAVAILABLE\n`,
      stderr: '',
    })
    expect(await readFile(join(home, 'file'), 'utf8')).toBe('old')
    expect(await readdir(home)).toStrictEqual(['file'])
  })

  test.runIf(hasTinyDisk())('nor where the disk has room for a part only', async () => {
    const home = await tempFolder()
    const code = `
      import { appendFile, readdir, readFile } from 'node:fs/promises'
      const { reserve, writePrivate } = await import(process.env.SRC + 'node/store/files.ts')
      const home = process.argv[1]
      await writePrivate(home + '/file', 'old')
      const room = await reserve(home + '/file', 1000)
      for (let full = false; !full; ) await appendFile(home + '/filler', 'x'.repeat(512)).catch(() => { full = true })
      console.log(await room.fill('y'.repeat(100_000)).catch((error) => error.message))
      await room[Symbol.asyncDispose]()
      console.log(await readFile(home + '/file', 'utf8'), (await readdir(home)).sort().join())`
    const { stdout, stderr } = await startNode(code, [home], onTinyDisk(home)).ended
    expect({ stdout, stderr }).toStrictEqual({
      stdout: `cannot write ${home}/file: no space left on device\nold file,filler\n`,
      stderr: '',
    })
  })

  test('a process killed while it writes leaves one whole text or the other', async () => {
    const home = await tempFolder()
    const code = `
      const { writePrivate } = await import(process.env.SRC + 'node/store/files.ts')
      await writePrivate(process.argv[1], 'a'.repeat(50_000))
      console.log('begun')
      for (;;) for (const letter of 'ba') await writePrivate(process.argv[1], letter.repeat(50_000))`
    for (let round = 0; round < 3; round += 1) {
      const writer = startNode(code, [join(home, 'file')])
      await writer.said('begun')
      writer.kill('SIGKILL')
      await writer.ended
      expect(await readFile(join(home, 'file'), 'utf8')).toMatch(/^(?:a{50000}|b{50000})$/)
    }
  })

  test('a folder in the way: said, left, and nothing beside it', async () => {
    const home = await tempFolder()
    await mkdir(join(home, 'file', 'inside'), { recursive: true })
    const error = await failure(writePrivate(join(home, 'file'), 'secret'))
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(error.message).toContain('is a directory')
    expect(await readdir(home)).toStrictEqual(['file'])
  })

  test('a file where a folder should be', async () => {
    const home = await tempFolder()
    await writeFile(join(home, 'file'), '')
    const path = join(home, 'file', 'inside')
    for (const attempt of [readPrivate, (at: string) => writePrivate(at, ''), listFolder, makePrivateFolder]) {
      const { message } = await failure(attempt(path))
      expect(message).toMatch(/^cannot (?:read|write|create) .*: (?:not a directory|file exists)(?: \(.*\/file\))?$/)
    }
  })
})

describe('reserve', () => {
  test('takes the room, and gives it back if it is not used', async () => {
    const home = await tempFolder()
    {
      await using _room = await reserve(join(home, 'file'), 5000)
      const [name] = await readdir(home)
      const { size, blocks } = await stat(join(home, name!))
      expect(size).toBe(5000)
      expect(blocks * 512).toBeGreaterThanOrEqual(5000) // not a hole
      expect(isTemporary(name!)).toBe(true)
    }
    expect(await readdir(home)).toStrictEqual([])
  })

  test.each([10, 5000, 9000])('%d bytes in the place of 5000', async (length) => {
    const home = await tempFolder()
    {
      await using room = await reserve(join(home, 'file'), 5000)
      expect(await readPrivate(join(home, 'file'))).toBeUndefined()
      await room.fill('z'.repeat(length))
    }
    expect(await readPrivate(join(home, 'file'))).toBe('z'.repeat(length))
    expect(await readdir(home)).toStrictEqual(['file'])
  })
})

describe('a leftover', () => {
  test('that its process still needs, as after a long suspension, is written again', async () => {
    const home = await tempFolder()
    const path = join(home, 'file')
    await using room = await reserve(path)
    await sweepBeside(path)
    expect(await readdir(home)).toStrictEqual([])
    await room.fill('a token')
    expect(await readPrivate(path)).toBe('a token')
    expect(await readdir(home)).toStrictEqual(['file'])
  })

  test('belongs to one file only, also where another long name begins in the same way', async () => {
    const home = await tempFolder()
    const [one, other] = ['one', 'other'].map((end) => join(home, `${'n'.repeat(60)}-${end}`))
    await using _room = await reserve(one!)
    await sweepBeside(other!)
    expect(await readdir(home)).toHaveLength(1)
    await sweepBeside(one!)
    expect(await readdir(home)).toStrictEqual([])
  })
})

describe('sweepFolder', () => {
  test('removes old leftovers, and neither young ones, nor others, nor folders', async () => {
    const home = await tempFolder()
    for (const name of ['.old.tmp', '.young.tmp', 'old']) await writeFile(join(home, name), '')
    await mkdir(join(home, '.folder.tmp'))
    for (const name of ['.old.tmp', 'old', '.folder.tmp']) await utimes(join(home, name), 0, 0)
    await sweepFolder(home, 1000, isTemporary)
    expect((await readdir(home)).sort()).toStrictEqual(['.folder.tmp', '.young.tmp', 'old'])
  })

  test('no folder is no failure', async () => {
    await expect(sweepFolder(join(await tempFolder(), 'none'), 0, () => true)).resolves.toBeUndefined()
  })
})
