/** How this program was called, for hints that can be typed as they stand. */
export const program = process.env.npm_lifecycle_event === 'runner' ? 'npm run runner --' : 'infernet-runner'
