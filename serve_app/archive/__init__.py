"""Recordings of calls whose callers agreed: sealed on disk, kept for a time (docs/privacy.md).

settings    what an operator sets of it, and the key from the environment
sealed      the encrypted file: chunks that can neither be read nor changed without the key
records     what stands in the chunks
tracks      both sides of a call in time: pure
archive     what all calls of a replica record with
recorder    one call's recording, which the call never waits for
writer      the thread that seals and writes
shelf       the files by owner: found, erased, swept
retention   which of them are to go: pure
playback    a recording read back: its transcript, its sound as wav
bundle      a zip, made while it is sent
"""
