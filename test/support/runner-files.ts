/** What the runner of GitHub Actions makes of what a step writes. */

/** A file of a step, read by the rules of the runner (FileCommandManager.cs): `NAME=value`, or `NAME<<END`. */
export function readByRunner(text: string): Record<string, string> {
  const values: Record<string, string> = {}
  const lines = text.split('\n')
  while (lines.length > 0) {
    const line = lines.shift()!
    if (line === '') continue
    const equals = line.indexOf('=')
    const heredoc = line.indexOf('<<')
    if (heredoc >= 0 && (equals < 0 || heredoc < equals)) {
      const end = lines.indexOf(line.slice(heredoc + 2))
      if (end < 0) throw new Error('no end')
      values[line.slice(0, heredoc)] = lines
        .splice(0, end + 1)
        .slice(0, -1)
        .join('\n')
    } else if (equals >= 0) values[line.slice(0, equals)] = line.slice(equals + 1)
    else throw new Error(`neither: ${line}`)
  }
  return values
}

/** What the runner masks from now on: the commands are unescaped as it does that. */
export function masked(stdout: string): string[] {
  const values = stdout.split('\n').filter((line) => line.startsWith('::add-mask::'))
  const plain = (value: string) => value.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%')
  return values.map((line) => plain(line.slice('::add-mask::'.length)))
}
