// Loaded into a container's process before its own code: it ends the process when the parent is gone, however the
// parent ended. A killed parent cannot tell its children, but its end of the channel closes.
process.once('disconnect', () => process.exit(0))
