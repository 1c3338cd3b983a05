"""Sound at the edge of a call: codecs, resampling, voice detection. Knows no socket and no turn.

    pcm        int16 bytes ⇄ float samples, levels
    resample   one sample rate → another, as a stream or whole
    codecs     the Opus interface, and which library stands behind it
    opus_native, opus_pyav   the two libraries
    vad        speech or not, 32 ms at a time
    end_of_turn   whether speech that paused sounds complete
    log_mel    what Smart Turn listens to
    network    ONNX files of installed packages
    echo       whether a voice is the agent's own, come back
    decoding   any common file → PCM, piece by piece
    recording  a file that somebody gives for a voice: checked
    speech_file   a long recording → windows of speech
    encoding   speech → a file, as it is made
    tempo      speech at another pace
    recent     the last stretch of a call's audio
    uplink     a client's messages → voice frames and windows of speech
    downlink   speech → a client's packets

Everything is synchronous, takes well under a millisecond for 20 ms of audio, and belongs to one
call: objects are used by one thread at a time. Only an end-of-turn detector serves all calls and
takes tens of ms; reading a recording takes a hundred, and encoding a second up to 15. PCM is int16
little endian mono throughout.
"""
