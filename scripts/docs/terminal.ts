/**
 * What was typed and said at a terminal as an SVG: no fonts, no scripts, nothing from anywhere else, and the same for
 * the same commands whenever they are run.
 */
import type { Scene } from '../../test/world/demonstrate.ts'

const COLUMNS = 100
/** Pixels. */
const CHARACTER = 8.4
const LINE = 20
const MARGIN = 20
const BAR = 34

/** Of colours that are told apart on their background by everybody; the background is ours, on a light and a dark page. */
const STYLE = `text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; white-space: pre; fill: #c9d1d9 }
    .prompt { fill: #7ee787 }
    .command { fill: #ffffff; font-weight: 600 }
    .note { fill: #a5b4c4; font-style: italic }
    .title { fill: #a5b4c4; text-anchor: middle }`

const DESCRIPTION = `A terminal. atproto-oauth init prints a URL at which alice signs in; atproto-oauth complete takes the address on
which her browser ended; then a post is created and listed, and a profile is read.`

/** @param handle the account's, whatever it was called in this run */
export function picture(scenes: readonly Scene[], handle: string): string {
  const lines = scenes.flatMap((scene, index) => [
    ...(index > 0 && scene.kind !== 'output' ? [''] : []),
    ...linesOf({ ...scene, text: steady(scene.text, handle) }),
  ])
  const width = MARGIN * 2 + Math.ceil(COLUMNS * CHARACTER)
  const height = BAR + MARGIN * 2 + lines.length * LINE
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title description">
  <title id="title">From a handle to a post with atproto-oauth</title>
  <desc id="description">${DESCRIPTION}</desc>
  <style>
    ${STYLE}
  </style>
  <rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8" fill="#0d1117" stroke="#6e7681" />
  <path d="M0.5 ${BAR}.5H${width - 0.5}" stroke="#30363d" />
  <text class="title" x="${width / 2}" y="23">npm run demo</text>
${lines.map(textElement).join('')}</svg>
`
}

/** As wide as it is here, whatever the font. */
function textElement(line: string, index: number): string {
  if (line === '') return ''
  const characters = line.replace(/<[^>]*>/g, '').replace(/&\w+;/g, '&').length
  const size = `textLength="${(characters * CHARACTER).toFixed(1)}" lengthAdjust="spacingAndGlyphs"`
  return `  <text x="${MARGIN}" y="${BAR + MARGIN + 14 + index * LINE}" ${size}>${line}</text>\n`
}

function linesOf({ kind, text }: Scene): string[] {
  return text.split('\n').map((line, index) => {
    const prompt = kind === 'command' ? (index === 0 ? '$ ' : '  ') : ''
    const room = COLUMNS - prompt.length
    const cut = escaped(line.length > room ? `${line.slice(0, room - 1)}…` : line)
    if (kind === 'output' || cut === '') return cut
    return `${prompt && `<tspan class="prompt">${prompt}</tspan>`}<tspan class="${kind}">${cut}</tspan>`
  })
}

/** What is another at each run is the same at each run. */
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
