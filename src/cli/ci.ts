import { type Environment, variable } from '../credentials/variables.ts'

/** Whether this is a CI job, in which nothing prompts. */
export function inCi({ environment }: { readonly environment: Environment }): boolean {
  const value = variable(environment, 'CI')?.toLowerCase()
  return value !== undefined && value !== 'false' && value !== '0'
}
