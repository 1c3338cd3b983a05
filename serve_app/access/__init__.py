"""Who may come in: keys, origins, limits, and the one door before every route (docs/security.md).

settings       what an operator sets of it
key_ring       keys by their hashes: pure
key_file       the file that they are read from, again when it changes
origins        which pages a browser may call from: pure
gate           the decision: pure
limits         a key's calls at once and per minute; redis_limits: shared by all replicas
door           the ASGI layer in front of every route: asks the gate, says no, counts calls out
exposure       whether an address may be served as things are: pure
server_urls    which URLs may stand in a configuration: pure
"""
