import { OAuthError } from '../../errors.ts'
import { NAME, RECORD_LONGEST } from './engine.ts'

/**
 * Every engine calls this before it sends anything: a name may become a path, and what could not be read again must not
 * be written.
 *
 * @param after the new text of a change
 */
export function checkRequest(name: string, after?: string): void {
  if (!NAME.test(name)) throw new OAuthError('VAULT_INVALID', `invalid record name ${JSON.stringify(name)}`)
  if (after === undefined) return
  if (after.length > RECORD_LONGEST)
    throw new OAuthError('VAULT_INVALID', `a record of ${after.length} characters is too long for the vault`)
  // A lone surrogate would come back as another character.
  if (!after.isWellFormed()) throw new OAuthError('VAULT_INVALID', 'a record is not valid Unicode')
}
