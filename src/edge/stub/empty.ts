/** Stands in for optional packages that nothing here uses; see wrangler.toml. */
export {}
