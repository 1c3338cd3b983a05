"""HTTP beside the WebSockets: OpenAI's audio API, chat, voices, and speech-to-speech.

    registry    which endpoints there are; a new one is a file and a line there
    endpoints   what an endpoint is, and what it works with
    entrance    the way of every request: let in, answered, its errors told
    limits      what requests may cost
    uploads     what a client sends, read within bounds
    body        a small request's body, bounded
    answers     JSON, errors and events in OpenAI's shape
    names       what clients call models, voices and languages
    hearing     a recording → its text, window by window; transcript: the forms it is told in
    speaking    a text → speech, behind every call's
    chat_request   a chat as it is asked for

Each other module is the endpoint it is named after.
"""
