"""The library: models, streams of text and remembered conversations."""
