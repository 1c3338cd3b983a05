"""HTTP endpoints beside the WebSockets: requests in, JSON out. The routes are the ingress's.

answers   OpenAI's shape of an error
voices    register, list and delete voices
"""
