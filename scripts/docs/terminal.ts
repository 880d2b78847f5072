/**
 * Commands and their output as an SVG of a terminal. It has no fonts, scripts or external resources, and the same
 * commands always give the same picture. It depends on no CSS: renderers that do not know `white-space` or a class still
 * show the columns and the colours.
 */
import type { Scene } from '../../test/world/demonstrate.ts'

/** Few enough that the text stays legible when a phone scales the picture down. */
export const COLUMNS = 60
/** Pixels. */
const FONT = 16
const CHARACTER = 9.6
const LINE = 22
/** A blank line, which only separates. */
const GAP = 12
const MARGIN = 16
const BAR = 34

/** Legible on the picture's own dark background, so the page may be light or dark. */
const LOOK = {
  prompt: 'fill="#7ee787"',
  command: 'fill="#ffffff" font-weight="600"',
  note: 'fill="#a5b4c4" font-style="italic"',
  output: 'fill="#c9d1d9"',
}

const DESCRIPTION = `A terminal. atproto-oauth init prints a URL at which alice signs in. atproto-oauth complete reads the callback URL.
Then a post is created, and listing the posts shows its text.`

interface Run {
  readonly look: keyof typeof LOOK
  readonly column: number
  readonly text: string
}

/** @param handle the account's in this run, shown as alice.test */
export function picture(scenes: readonly Scene[], handle: string): string {
  const lines = scenes.flatMap((scene, index) => [
    ...(index > 0 && scene.kind !== 'output' ? [[]] : []),
    ...linesOf({ ...scene, text: steady(scene.text, handle) }),
  ])
  const elements: string[] = []
  let y = BAR + MARGIN
  for (const runs of lines) {
    for (const run of runs) elements.push(textElement(run, y + FONT))
    y += runs.length === 0 ? GAP : LINE
  }
  const width = MARGIN * 2 + Math.ceil(COLUMNS * CHARACTER)
  const height = y + MARGIN
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title description">
  <title id="title">From a handle to a post with atproto-oauth</title>
  <desc id="description">${DESCRIPTION}</desc>
  <rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8" fill="#0d1117" stroke="#6e7681" />
  <path d="M0.5 ${BAR}.5H${width - 0.5}" stroke="#30363d" />
  <g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace" font-size="${FONT}">
    <text x="${width / 2}" y="23" fill="#a5b4c4" text-anchor="middle">npm run demo</text>
${elements.join('')}  </g>
</svg>
`
}

/** At its column in every renderer, and as wide in every font where `textLength` is known. */
function textElement({ look, column, text }: Run, y: number): string {
  const x = (MARGIN + column * CHARACTER).toFixed(1)
  const size = `textLength="${(text.length * CHARACTER).toFixed(1)}" lengthAdjust="spacingAndGlyphs"`
  return `    <text x="${x}" y="${y}" ${LOOK[look]} ${size}>${escaped(text)}</text>\n`
}

function linesOf({ kind, text }: Scene): Run[][] {
  const indent = kind === 'command' ? 2 : 0
  const lines = kind === 'command' ? text.split('\n') : unwrapped(text.split('\n'))
  return lines
    .flatMap((line) => fitted(line, COLUMNS - indent))
    .map((line, index) => [
      ...(kind === 'command' && index === 0 ? [{ look: 'prompt', column: 0, text: '$' } as const] : []),
      ...runsOf(line).map((run) => ({ look: kind, column: indent + run.column, text: run.text })),
    ])
}

/** The parts between columns: XML collapses two spaces into one, and drops those at the start. */
function runsOf(line: string): { column: number; text: string }[] {
  return [...line.matchAll(/\S+(?: \S+)*/g)].map(({ index, 0: text }) => ({ column: index, text }))
}

/** Joins a sentence that is continued on the next line, where its first line has to be wrapped here. */
function unwrapped(lines: readonly string[]): string[] {
  const joined: string[] = []
  let isContinued = false
  for (const line of lines) {
    if (isContinued && /^\S/.test(line)) joined.push(`${joined.pop()} ${line}`)
    else joined.push(line)
    isContinued = line.length > COLUMNS && /^\S+ \S.*[a-z,]$/.test(line)
  }
  return joined
}

/** Wraps prose below its first word, and cuts a line with a word that has no room, such as a URL. */
function fitted(line: string, room: number): string[] {
  const start = /^ *(?:\S.{0,9}? {2,})?/.exec(line)![0]
  const words = line.slice(start.length).split(' ')
  if (words.some((word) => start.length + word.length > room)) return [`${line.slice(0, room - 1)}…`]
  const lines: string[] = []
  let current = start
  for (const word of words) {
    const longer = current.length === start.length ? current + word : `${current} ${word}`
    if (longer.length <= room) current = longer
    else {
      lines.push(current)
      current = ' '.repeat(start.length) + word
    }
  }
  return [...lines, current]
}

/** Replaces what differs between runs. */
function steady(text: string, handle: string): string {
  return text
    .replaceAll(handle, 'alice.test')
    .replace(/did:plc:[a-z2-7]{24}/g, 'did:plc:abcdefghijklmnopqrstuvwx')
    .replace(/(localhost(?::|%3A))\d+/g, '$12583')
    .replace(/\b\d\d:\d\d:\d\d(?= )/g, '12:05:00')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, '2026-01-02T13:00:00Z')
    .replace(/\b3[2-7a-z]{12}\b/g, '3mbc4d5e6f722')
    .replace(/\bbafy[a-z2-7]{55}\b/g, `bafyrei${'abcdefghijklmnopqrstuvwxyz234567'.repeat(2).slice(0, 52)}`)
    .replace(/(state=)[\w-]{22}/g, '$1Zm9sbG93IHRoZSBzdGF0ZQ')
    .replace(/(cod-)[0-9a-f]{4}…/g, '$11a2b…')
    .replace(/(req-)[0-9a-f]{32}/g, `$1${'0123456789abcdef'.repeat(2)}`)
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
