"""Whole conversations by the dozen, and whether the server keeps its objectives: `make loadtest`.

    locustfile        users, options, statistics: the only file but ramp that imports locust
    ramp, steps       more calls with each step, until one does not hold
    bridge            the process of callers, from locust's side
    callers           that process: calls on an event loop of their own
    call, turns       one call: connects, and does what its plan says
    scenario          the plan of a call, by its number: pure
    clips, microphone what callers say, frame by frame
    news              waiting for what others do
    relay             a way to the server that can be cut
    hearing, marks    what a caller heard, and whose it was: pure
    reporter, records what callers report, a JSON line each: pure
    locust_requests   records as locust counts them: pure
    figures, slo      records → figures → verdicts: pure
    charts, page      the report, one HTML page: pure
    outcome           all of that for one run, and its exit status
    graph, server_cpu a server for one test, and what it spends
    timed.yaml        its config: stages of known speed that tell callers apart
    slo.toml          the objectives

Callers speak the wire through `clients`; of the product nothing is imported.
"""
