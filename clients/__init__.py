"""Programs that call the agent. They speak the wire, and import neither of its packages.

events          the native protocol's server messages as values: pure
wire            server messages → events, client messages → JSON: pure
opus            raw Opus packets both ways
incoming        their audio decoded, and told apart by reply: pure
connection      one WebSocket: opened, read, written to
returning       when a lost connection is made again: pure
voice_client    one call: connect, send, iterate over events, come back
loudness        how loud sound is, where it begins and ends: pure
playback        what of the replies a loudspeaker has played: pure
progress        whether a turn has been answered: pure
caller          recordings spoken in real time, silence between them
echo_gate       what a microphone hears of its loudspeaker: pure
level_meter     how loud a microphone is, and whether it hears a voice: pure
sound_card      a person at a microphone and a loudspeaker
session         one call: a caller's audio up, the replies' audio down
session_table   where the time of a call went: pure
screen          a call as text
live_screen     a call on a terminal, its last line moving
audio_file      any audio file → samples; what was played → WAV
sample_voice    a question spoken by an embedded voice
talk            the command line of a call
speech_to_speech   a recording's answer by HTTP
ask_folder      that for a folder: a few at once, resumed
ask_file        the command line of both
"""
