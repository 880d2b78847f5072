/** The table of programs that `run --as` knows: between `<!-- programs -->` and `<!-- end of programs -->`. */
import { PROGRAMS } from '../../src/cli/run/programs.ts'

const BLOCK = /^(<!-- programs -->\n)[\s\S]*?^(<!-- end of programs -->)$/m

/** The same text with the table of today. */
export function withPrograms(markdown: string): string {
  const rows = PROGRAMS.map(({ name, about, source, environment }) => {
    const variables = Object.keys(environment).map((variable) => `\`${variable}\``)
    return `| \`${name}\` | [${about}](${source}) | ${variables.join(', ')} |`
  })
  const table = ['| `--as` | program | variables |', '| --- | --- | --- |', ...rows].join('\n')
  return markdown.replace(BLOCK, (_, begin: string, end: string) => `${begin}\n${table}\n\n${end}`)
}
