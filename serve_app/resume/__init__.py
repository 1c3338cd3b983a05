"""Conversations that outlive their connection, and the replica that held it.

    lines          those of a replica's calls
    keeping        a call's conversation and its line: when what is kept
    line           one call's line to the store: what is written when, and who may go on
    store          what a store is; the settings; the table of the one in memory (pure)
    memory         that table in an actor of the deployment, beside the replicas
    redis          a Redis, which outlives the graph
    snapshot_json  a snapshot as JSON, with a version and a bound

What a conversation is, and what it still owes the caller, is decided in `conversation/snapshot`.
"""
