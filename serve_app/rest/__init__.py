"""HTTP endpoints beside the WebSockets: requests in, JSON out. The routes are the ingress's.

answers   OpenAI's shape of an error
body      a small request's body, bounded
voices    register, list and delete voices
"""
