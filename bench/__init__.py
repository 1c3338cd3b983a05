"""Latency and capacity against the measured floor and against a peer, in one run: `make bench`.

    plan          the numbers of a run: stages, calls, alignments, the pause
    clip          what a caller says, made by espeak, with pauses inside the turn
    ear           the plain end-of-turn rule over Silero: the control's, and the yardstick's
    yardstick     when that rule decides, for every alignment of the clip
    microphone    the caller's sample clock: frames of 20 ms, utterances at set places
    player        what a caller hears: first audible sample, gaps of an 80 ms buffer
    caller        one paced call over a WebSocket
    profile_ingress  CPU of the ingress by part, under such calls
    row           so many calls at once against one system, and what that cost it
    process_tree  CPU time and memory of a system, by part
    systems/      what is measured: how each is started, and the programs that are not Parley
    figures       turns and costs → the figures of a row, and their differences
    report        figures → docs/performance.md
    picture       figures → an SVG

Imports of the product: `deployments.backends`, `deployments.contracts` and `serve_app.audio`, so
that the control has the same stages and the same voice detector. Parley itself is a process.
"""
