"""The bounds that keep every step short, whatever the document and the customer do."""

NODES_PER_STEP = 100
CALLS_PER_MESSAGE = 10  # handlers, requests and waits since the customer last spoke
STACK_DEPTH = 10  # sub-flows inside sub-flows
PATH_LENGTH = 50  # ids kept in State.path
VARIABLES = 100  # in a context
TEXT_LENGTH = 4096  # of a value and of a sent text
DOCUMENT_DEPTH = 60  # nesting of a document's JSON
ALBUM_SECONDS = 60  # further media within this time get no answer of their own
