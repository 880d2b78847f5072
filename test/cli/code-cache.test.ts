/** Compiled code on disk, in processes that load a small program with it. */
import { chown, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startNode, tempFolder } from '../node/helpers.ts'

const LOAD = `
  const { createRequire } = await import('node:module')
  const { keepCode } = await import(process.env.SRC + 'cli/code-cache.ts')
  const [folder, program, file, build] = process.argv.slice(1)
  const require = createRequire(file)
  keepCode({ folder, command: 'call', program, build, loaders: require.extensions })
  console.log(await require(file)())`

async function place() {
  const root = await tempFolder()
  const [folder, program] = [join(root, 'code'), join(root, 'program')]
  await mkdir(program)
  const file = join(program, 'main.cjs')
  const run = (path = file, build = 'one') => startNode(LOAD, [folder, program, path, build]).ended
  const kept = async () => {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  }
  return { root, folder, file, run, kept }
}

const printed = (stdout: string) => ({ code: 0, stdout, stderr: '' })

test('another text of the same length and time is another program: some installers give all files one time', async () => {
  const { file, run, kept } = await place()
  const long = 'x'.repeat(2000)
  for (const name of ['one', 'two']) {
    await writeFile(file, `module.exports = () => '${name}'\n// ${long}\n`)
    await utimes(file, 1, 1)
    expect(await run()).toMatchObject(printed(`${name}\n`))
    expect(await run()).toMatchObject(printed(`${name}\n`))
  }
  expect(await kept()).toHaveLength(1)
})

test('the same file of another build is another program: some file systems have one time for all, and nothing else', async () => {
  const { file, run, kept } = await place()
  await writeFile(file, `module.exports = () => 'runs'`)
  await run()
  const [path] = await kept()
  const before = await readFile(path!)
  expect(await run(file, 'two')).toMatchObject(printed('runs\n'))
  expect(await kept()).toStrictEqual([path])
  const after = await readFile(path!)
  expect(after.equals(before)).toBe(false)
  await run(file, 'two')
  expect((await readFile(path!)).equals(after)).toBe(true)
})

test('text that is not ASCII is read as what it is', async () => {
  const { file, run } = await place()
  await writeFile(file, `module.exports = () => 'höher 🦋'\n`)
  for (let time = 0; time < 2; time += 1) expect(await run()).toMatchObject(printed('höher 🦋\n'))
})

test('a file that is not of the program is loaded as without', async () => {
  const { root, run, folder } = await place()
  const file = join(root, 'other.cjs')
  await writeFile(
    file,
    `module.exports = async () => [require.resolve('./other.cjs'), typeof (await import('node:fs')).readFileSync].join()`,
  )
  expect(await run(file)).toMatchObject(printed(`${file},function\n`))
  await expect(stat(folder)).rejects.toMatchObject({ code: 'ENOENT' })
})

test('a file of the program that cannot be read is reported by Node', async () => {
  const { file, run } = await place()
  await writeFile(file, `require('./missing.cjs')`)
  const { code, stderr } = await run()
  expect(code).toBe(1)
  expect(stderr).toMatch(/no such file or directory, open '.*missing\.cjs'/)
})

test('there is a file instead of the folder: nothing is kept, and nothing is said', async () => {
  const { folder, file, run } = await place()
  await writeFile(folder, '')
  await writeFile(file, `module.exports = () => 'runs'`)
  expect(await run()).toMatchObject(printed('runs\n'))
})

test.runIf(process.getuid?.() === 0)('what belongs to another user is not executed', async () => {
  const { file, run, kept } = await place()
  await writeFile(file, `module.exports = () => 'mine'`)
  await run()
  const [path] = await kept()
  await chown(path!, 65534, 65534)
  expect(await run()).toMatchObject(printed('mine\n'))
  expect((await stat(path!)).uid).toBe(0) // made anew
})

test('what has not changed for a month is deleted when something is kept', async () => {
  const { folder, file, run, kept } = await place()
  const old = join(folder, 'v20.0.0-x64', 'call-main')
  await mkdir(join(folder, 'v20.0.0-x64'), { recursive: true })
  await writeFile(old, 'old')
  await utimes(old, 1, 1)
  await writeFile(file, `module.exports = () => 'new'`)
  await run()
  expect(await kept()).toHaveLength(1)
  expect(await kept()).not.toContain(old)
  const [path] = await kept()
  const before = await readFile(path!)
  await run()
  expect((await readFile(path!)).equals(before)).toBe(true)
})
