"""What media stages share: files between them, ffmpeg, recordings, languages, sentences, terms, corrections.

Not here: the stages themselves, which lie in `stages/`.
"""
