import { build } from 'esbuild'

export type BundleOptions = { root: string; main: string; alias: Record<string, string>; outfile: string }

/** The edge as one module, resolved as wrangler resolves it for a deployment. */
export async function bundle({ root, main, alias, outfile }: BundleOptions): Promise<void> {
  await build({
    entryPoints: [main],
    absWorkingDir: root,
    outfile,
    bundle: true,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*'],
    alias,
    logLevel: 'error',
  })
}
