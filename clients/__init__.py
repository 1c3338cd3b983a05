"""Programs that call the agent. They speak the wire, and import neither of its packages.

events          the native protocol's server messages as values: pure
wire            server messages → events, client messages → JSON: pure
voice_client    one call: connect, send, iterate over events
opus            raw Opus packets both ways
playback        what of the replies a loudspeaker has played: pure
progress        whether a turn has been answered: pure
audio_file      any audio file → samples; samples → WAV
sample_voice    a question spoken by an embedded voice
line            the caller's audio in real time: files and silence, or a microphone
sound_card      microphone and loudspeaker
session_table   where the time of a call went: pure
talk            the command line
"""
