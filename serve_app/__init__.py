"""The application: a caller's socket in front, the stages behind, a conversation between them.

    app            binds the graph                       settings   what an operator may set
    ingress        routes, admission, one Call a socket  admission  who may call (pure)
    call           one call, as a loop that never waits  outbox     what is on its way out
    load           what is shed under load (pure)        load_watch measures it
    reply          one reply, as one cancellable scope   metrics    every metric's name
    reply_text     its text, round by round              tools      HTTP endpoints for the model
    pause_judge    is the caller done, off the loop      observation what operators see of a call
    gpu_plan       do the stages fit on the cards (pure)
    environments   other interpreters, looked into
    stages         the stages, as a call sees them       hop        a Ray handle: time-outs, retry
    conversation/  every decision, pure                  breaker    a failing stage rests (pure)
    dialects/      wire protocols, pure                  errors     the error tree
    archive/       recordings, sealed
    audio/         codecs, resampling, voice detection   websocket  Starlette's socket, refusals
    rest/          HTTP endpoints                        resume/    conversations that outlive
    voice_registration   recording → voice                          their connection
    draining       who leaves a stopping replica (pure)             drain_watch moves them
    stop_notice    Serve's word that it is to stop       front_door what is in front (pure)
    page/          what a browser gets at `/`

Calls run downwards: ingress → call → conversation for what to do, reply and stages to do it.
"""
