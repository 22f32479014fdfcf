"""Limits that are the same everywhere, whatever is set: of questions, of those who ask, of what is kept of them, of
requests, of uploads and of corpora. Knows nothing of what keeps to them.
"""

# Of a question:
MAX_QUESTION = 2_000  # characters
MAX_PASSAGES = 50
MAX_TURNS = 6  # of a conversation, that a question can point back at
MAX_SAID = 10_000  # characters of an earlier question or answer that a program sends back
LEAST_REGION = 16  # pixels of the photo that a region has at least in each direction; less shows nothing
# Of those who ask:
QUESTIONS_AT_ONCE = 4  # that a page answers at the same time
QUESTIONS_WAITING = 200  # that may wait for their turn
QUESTIONS_UNHEARD = 200  # of programs that have not begun to listen for the answer
LONGEST_ANSWER = 900.0  # seconds after which it is ended, whatever it waits for
ENCODER_PATIENCE = 20.0  # seconds a question waits for an encoder that is loading, before it is told to come back
FIRST_AT_MOST = 24  # passages by their titles, and as many by their words, that are indexed for it before the others
FIRST_PATIENCE = 5.0  # seconds it waits for these
# What is kept of them, in memory:
ANSWERS_KEPT = 200  # each about 100 kB
SENTENCES_KEPT = 16_384  # as vectors, of 2 kB each
PHOTOS_KEPT = 4  # decoded, of 12 MB at most
SESSIONS = 300  # each holds the photo and the evidence last shown, up to megabytes
# Of requests:
MAX_REQUEST = 400_000  # bytes of any but an upload; all turns of a conversation have room
GRADIO_THREADS = 300  # many more than may wait for their turn
GRADIO_QUEUE = 300  # events of all kinds that wait
# Of uploads, in bytes and seconds:
MAX_UPLOAD = 200 << 20  # of what becomes a corpus, at a time
UPLOAD_FILES = 200  # at a time
UPLOADS_AT_ONCE = 16  # of one client
CLIENT_FILES = 1_000  # within CLIENT_WINDOW
CLIENT_UPLOADS = 200
CLIENT_WINDOW = 3600.0
UPLOAD_PATIENCE = 600.0  # for one
UPLOAD_SHARE = 0.5  # of the disk that is free or taken by uploads, how much those may take
TIDYING = 900.0  # between two looks for what is old
UPLOAD_YOUNG = 600.0  # in which one never is for want of room
# Of corpora (how large passages are cut is in kb/chunking.py):
INGESTIONS_AT_ONCE = 2  # others wait for their turn
CORPUS_FILES = 2_000  # uploaded for one
