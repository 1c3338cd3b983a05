"""The application: a caller's socket in front, the stages behind, a conversation between them.

    app            binds the graph                       settings   what an operator may set
    ingress        routes, admission, one Call a socket  admission  who may call (pure)
    call           one call, as a loop that never waits  outbox     what is on its way out
    reply          one reply, as one cancellable scope   metrics    every metric's name
    stages         Ray handles: time-outs, retry, errors breaker    a failing stage rests (pure)
    conversation/  every decision, pure                  errors     the error tree
    dialects/      wire protocols, pure
    audio/         codecs, resampling, voice detection

Calls run downwards: ingress → call → conversation for what to do, reply and stages to do it.
"""
