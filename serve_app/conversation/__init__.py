"""The pure core: every decision about a conversation, without I/O, clocks or threads.

    events          what happened           → turn machine
    commands        what to do              ← turn machine
    announcements   what the client is told ← turn machine and the reply's playout
    turn            the machine between them: how the two sides below bear on each other
    listening       the caller's turns: partials, pauses, final transcripts
    replying        the agent's replies: held back, paused, resumed, cut off
    live_reply      what is known of a reply while it is made or played
    reply_requests  the replies that a client asked for and that have not begun
    tooling         the tool calls of a reply: which may run, what the model is told
    policy          the numbers they decide by
    open_turn       what is known of a turn while the caller speaks
    finals          turns that were committed and wait for their final transcript
    patience        how long a pause must be to end a turn, by its sound and its words
    endpointing     where the caller's speech starts and ends
    hush            where speech ends by its level, before the voice detector knows it
    partials        the transcripts on the way: when one is due, what it shows
    verdicts        what was judged of a pause by its sound
    agreement       the part of a growing hypothesis that may be shown
    discretion      what a client that cannot resume a reply is told of speech over it
    asides          what is heard over a reply and is no turn: nods and echoes
    backchannel     the words of a nod, by language
    echoed_words    which words are the agent's own, come back
    history         the messages, cut to what the caller heard
    spoken_text     what a language model writes → what a voice can say
    phrases         a stream of text → phrases worth speaking
    playout         what of a reply was sent, may be sent, and was surely heard

Time is an argument everywhere: `now` in seconds of a monotonic clock, `…_ms` in milliseconds
of audio. Nothing here imports asyncio, numpy, ray or pydantic.
"""
