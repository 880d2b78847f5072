/**
 * Where the version stands besides package.json: behind `atproto-oauth@`, as in the workflow that people copy, and at the
 * top of CHANGELOG.md.
 */

/** The same text with that version behind each `atproto-oauth@`. */
export function pinned(text: string, version: string): string {
  return text.replace(/(?<=\batproto-oauth@)\d+\.\d+\.\d+[\w.+-]*\b/g, version)
}

/** What is not released yet becomes this version; if all of it is, there is a section more. */
export function nextChangelog(text: string, version: string, date: string): string {
  const heading = `## ${version} (${date})`
  const [, newest = ''] = /^# Changelog\n\n(.*)$/m.exec(text) ?? []
  if (newest.endsWith(' (unreleased)')) return text.replace(newest, heading)
  return text.replace(newest, `${heading}\n\n- Nothing that a user would notice.\n\n${newest}`)
}
