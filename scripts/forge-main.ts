import { runForge } from './forge.ts'

/** `npm run forge -- COMMAND`: forge in its folder, with its exit status. */
process.exit(runForge(process.argv.slice(2)) ? 0 : 1)
