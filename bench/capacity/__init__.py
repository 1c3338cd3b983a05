"""How many calls a core, a card and a cluster hold, on paper: docs/capacity.md is made of it.

    python -m bench.capacity

    assumptions  every figure that goes in, and where it comes from
    voices       calls that a pool of voices carries      recogniser  how long a final waits
    cards        what a call takes of a card's time       plan        a number of calls, in machines
    replicas     the autoscaling policy over a load         measured    CPU and memory of a call
    report       all of it as the tables of the page      search      the most that do well

All of it is virtual time and arithmetic; the only chance is the seed's.
"""
