"""What the services say to each other: commands, events, queries, subjects, streams, failure codes.

Pure: nothing in here does I/O, and everything else may import it.
"""
