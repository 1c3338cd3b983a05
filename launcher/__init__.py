"""What `launch.py` is made of: running the graph of a config file on this machine.

    plan      which config, where it answers, and the environment it runs in
    ports     which port is free, and which copy holds it
    session   every process of the graph is in one session; how that ends
    graph     the child: Ray's head and the deployments, how far they are, why they ended

Only `graph` knows Ray, and only inside the child.
"""

from __future__ import annotations


class LaunchError(Exception):
    """The graph cannot run; the message is one line for the person at the terminal."""
