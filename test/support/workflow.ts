/** A workflow file as GitHub's own parser reads it, in plain objects. */
import { build } from 'esbuild'

type Parser = typeof import('@actions/workflow-parser')
type TemplateToken = NonNullable<ReturnType<Parser['parseWorkflow']>['value']>

/** The package imports JSON as bundlers take it, and Node does not. */
const { outputFiles } = await build({
  stdin: { contents: "export * from '@actions/workflow-parser'", resolveDir: import.meta.dirname },
  bundle: true,
  format: 'esm',
  platform: 'neutral',
  mainFields: ['module', 'main'],
  write: false,
})
const parser: Parser = await import(
  /* @vite-ignore */ `data:text/javascript;base64,${Buffer.from(outputFiles[0]!.contents).toString('base64')}`
)

export interface Step {
  readonly name: string
  readonly if: string
  readonly uses: string | undefined
  /** Expressions as they stand there. */
  readonly env: Readonly<Record<string, string>>
  readonly run: string | undefined
}

export interface Job {
  readonly id: string
  readonly needs: readonly string[]
  readonly if: string
  readonly environment: string | undefined
  /** The workflow that it calls instead of having steps. */
  readonly uses: string | undefined
  readonly permissions: unknown
  readonly continueOnError: unknown
  readonly matrix: Readonly<Record<string, readonly string[]>>
  readonly steps: readonly Step[]
}

export interface Workflow {
  /** What GitHub would refuse. */
  readonly errors: readonly string[]
  readonly concurrency: unknown
  readonly permissions: unknown
  readonly shell: unknown
  readonly jobs: readonly Job[]
}

/** The parser's tokens as what they say; expressions as they stand there. */
function plain(token: TemplateToken): unknown {
  if (parser.isMapping(token)) return Object.fromEntries([...token].map(({ key, value }) => [text(key), plain(value)]))
  return parser.isSequence(token) ? [...token].map(plain) : text(token)
}

function text(token: TemplateToken): string {
  if (parser.isBasicExpression(token)) return token.source ?? `\${{ ${token.expression} }}`
  return parser.isScalar(token) ? token.toString() : ''
}

export async function readWorkflow(content: string): Promise<Workflow> {
  const { context, value } = parser.parseWorkflow(
    { name: 'workflow.yml', content },
    new parser.NoOperationTraceWriter(),
  )
  const errors = () => context.errors.getErrors().map(({ message }) => message)
  const template = value && errors().length === 0 ? await parser.convertWorkflowTemplate(context, value) : undefined
  const root = (value && errors().length === 0 ? plain(value) : {}) as Record<string, unknown>
  const jobs = (root['jobs'] ?? {}) as Record<string, Record<string, unknown>>
  return {
    errors: [...errors(), ...(template?.errors ?? []).map(({ Message }) => Message)],
    concurrency: root['concurrency'],
    permissions: root['permissions'],
    shell: (root['defaults'] as { run: { shell: string } } | undefined)?.run.shell,
    jobs: Object.entries(jobs).map(([id, job]) => ({
      id,
      needs: [job['needs'] ?? []].flat() as string[],
      if: String(job['if'] ?? ''),
      environment: job['environment'] as string | undefined,
      uses: job['uses'] as string | undefined,
      permissions: job['permissions'],
      continueOnError: job['continue-on-error'],
      matrix: ((job['strategy'] as { matrix?: object } | undefined)?.matrix ?? {}) as Job['matrix'],
      steps: ((job['steps'] ?? []) as Record<string, unknown>[]).map((step) => ({
        name: String(step['name'] ?? step['uses']),
        if: String(step['if'] ?? ''),
        uses: step['uses'] as string | undefined,
        env: (step['env'] ?? {}) as Record<string, string>,
        run: step['run'] as string | undefined,
      })),
    })),
  }
}
