"""How much one message may say. Beyond a limit it is a dead letter, which its tenant sees: nothing is cut."""

DEPTH_MAX = 32  # levels of objects and arrays above a value: no device nests deeper, a recursion bomb does
READINGS_MAX = 4_096  # of one message: a row each, so a payload of 256 KiB cannot become 128,000 rows
ITEMS_MAX = 8 * READINGS_MAX  # keys, values, fields of a binary payload, nulls too: some 60 ms of reading
SAMPLES_MAX = 1_000  # objects in one array: a buffering device's backlog
# Device and metric share an index, whose entries PostgreSQL bounds at 2,704 bytes (4 bytes a character).
DEVICE_CHARS_MAX = 128
METRIC_CHARS_MAX = 256
TEXT_CHARS_MAX = 1_024  # a "short text": states and versions, not documents; those stay in the raw message
UNIT_CHARS_MAX = 32
STATUS_CHARS_MAX = 64
INT_MIN, INT_MAX = -(2**63), 2**63 - 1  # PostgreSQL's bigint
