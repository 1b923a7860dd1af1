"""How models write tool calls and thoughts: the constraint that makes them valid, and the reader that finds them again.

One format is one file's worth of texts (`families.py`); constraint (`calls.py`) and reader (`reading.py`) are made from
the same texts, so what the one forces the other understands.
"""
