"""mediabuild: make for media. Importing it costs nothing; `build` is where a pipeline is opened."""

__version__ = "0.1.0"
