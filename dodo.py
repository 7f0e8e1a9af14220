"""Tasks of your own: doit finds them here, beside those that pipeline.toml declares."""
