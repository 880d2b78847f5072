/**
 * Well-known programs that sign in with an app password, and the variables that they read it from: `run --as NAME`.
 * Programs whose server cannot be set are not listed, because they cannot use a front.
 */

import { CliError } from '../errors.ts'

export interface KnownProgram {
  readonly name: string
  /** What it does, for the list in the documentation. */
  readonly about: string
  /** The file in which its variables were read: a URL. */
  readonly source: string
  /** Templates (templates.ts) by the name of the variable. */
  readonly environment: Readonly<Record<string, string>>
}

/** By name. */
export const PROGRAMS: readonly KnownProgram[] = [
  {
    name: 'bluesky-github-action',
    about: 'posts from a job',
    source:
      'https://github.com/cbrgm/bluesky-github-action/blob/3bdb8956897814315f1c22cd53c49517f57b9788/cmd/bluesky-github-action/main.go',
    environment: { ATP_PDS_HOST: '{url}', ATP_AUTH_HANDLE: '{handle}', ATP_AUTH_PASSWORD: '{password}' },
  },
  {
    name: 'bsky-mcp-server',
    about: 'Bluesky for language models',
    source: 'https://github.com/brianellin/bsky-mcp-server/blob/3b0165451a0b4d2685dfe958c06b679326749110/.env.example',
    environment: { BLUESKY_SERVICE_URL: '{url}', BLUESKY_IDENTIFIER: '{handle}', BLUESKY_APP_PASSWORD: '{password}' },
  },
  {
    name: 'bsky-rss',
    about: 'posts the entries of a feed',
    source: 'https://github.com/milanmdev/bsky.rss/blob/7ccff90cf8528156049792543e607c3e408f50b9/app/index.ts',
    environment: { INSTANCE_URL: '{url}', IDENTIFIER: '{handle}', APP_PASSWORD: '{password}' },
  },
  {
    name: 'bskyr',
    about: 'R package',
    source: 'https://github.com/christopherkenny/bskyr/blob/6e6fb21e7aa725fa0ef4a3a5a75a2fc2c33adf29/R/auth_pds.R',
    environment: { BLUESKY_APP_PDS: '{url}', BLUESKY_APP_USER: '{handle}', BLUESKY_APP_PASS: '{password}' },
  },
  {
    name: 'create-bsky-post',
    about: 'the Python script of the Bluesky cookbook',
    source:
      'https://github.com/bluesky-social/cookbook/blob/32ab8b1a59aaa196b16aedc5f62911f2a45b58ab/python-bsky-post/create_bsky_post.py',
    environment: { ATP_PDS_HOST: '{url}', ATP_AUTH_HANDLE: '{handle}', ATP_AUTH_PASSWORD: '{password}' },
  },
  {
    name: 'goat',
    about: 'the command line of AT Protocol developers',
    source: 'https://github.com/bluesky-social/goat/blob/0b814327b432495754943cfa641c62ccc720c31a/account.go',
    environment: {
      ATP_PDS_HOST: '{url}',
      GOAT_USERNAME: '{handle}',
      GOAT_PASSWORD: '{password}',
      // Older versions read only these names.
      ATP_AUTH_USERNAME: '{handle}',
      ATP_AUTH_PASSWORD: '{password}',
      // Otherwise it asks for a second factor, and fails where there is no terminal.
      ATP_AUTH_FACTOR_TOKEN: 'none',
    },
  },
  {
    name: 'jreleaser',
    about: 'announces releases',
    source:
      'https://github.com/jreleaser/jreleaser/blob/60ea2ee1dabecf0d5dd28c067a8439c68506b365/core/jreleaser-model-impl/src/main/java/org/jreleaser/model/internal/validation/announce/BlueskyAnnouncerValidator.java',
    environment: {
      JRELEASER_BLUESKY_HOST: '{url}',
      JRELEASER_BLUESKY_HANDLE: '{handle}',
      JRELEASER_BLUESKY_PASSWORD: '{password}',
    },
  },
  {
    name: 'not-my-ex',
    about: 'posts to Bluesky and Mastodon',
    source: 'https://github.com/cuducos/not-my-ex/blob/08e5598252cb576571d6585d0cc5be82a9d21648/not_my_ex/settings.py',
    environment: {
      NOT_MY_EX_BSKY_AGENT: '{url}',
      NOT_MY_EX_BSKY_EMAIL: '{handle}',
      NOT_MY_EX_BSKY_PASSWORD: '{password}',
    },
  },
  {
    name: 'sequoia',
    about: 'publishes a blog as standard.site documents',
    source: 'https://www.npmjs.com/package/sequoia-cli/v/0.5.7?activeTab=code',
    environment: { PDS_URL: '{url}', ATP_IDENTIFIER: '{handle}', ATP_APP_PASSWORD: '{password}' },
  },
  {
    name: 'skeet',
    about: 'posts from a shell',
    source: 'https://github.com/sharunkumar/skeet/blob/01749a50a084484501ad221b1176e2bdd66ab9c6/src/main.rs',
    environment: { SKEET_HOST: '{url}', SKEET_USERNAME: '{handle}', SKEET_PASSWORD: '{password}' },
  },
  {
    name: 'skygent',
    about: 'collects and filters posts',
    source:
      'https://github.com/mepuka/bsky-cli/blob/31630159ce4404a6d651c5a0350de6fcfefb8ed9/src/services/app-config.ts',
    environment: { SKYGENT_SERVICE: '{url}', SKYGENT_IDENTIFIER: '{handle}', SKYGENT_PASSWORD: '{password}' },
  },
  {
    name: 'xpost',
    about: 'posts to several networks',
    source:
      'https://github.com/blacktop/xpost/blob/5f269ca33f352b9e724a77c89bfdb57d16bdfbb9/internal/xpost/bluesky/bluesky.go',
    environment: {
      XPOST_BLUESKY_PDS_URL: '{url}',
      XPOST_BLUESKY_HANDLE: '{handle}',
      XPOST_BLUESKY_APP_PASSWORD: '{password}',
    },
  },
]

/** @throws {OAuthError} `USAGE` */
export function findProgram(name: string): KnownProgram {
  const found = PROGRAMS.find((program) => program.name === name.toLowerCase())
  if (found !== undefined) return found
  const similar = PROGRAMS.find((program) => program.name.startsWith(name.slice(0, 3).toLowerCase()))
  throw new CliError('USAGE', `unknown program ${JSON.stringify(name)} for --as`, {
    hint:
      similar === undefined || name === ''
        ? `use one of ${PROGRAMS.map((program) => program.name).join(', ')}, or name its variables with --env`
        : `write it as --as ${similar.name}, or name its variables with --env`,
  })
}
