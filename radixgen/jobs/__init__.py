"""Batch work over files: documents in, one schema-valid record a document out.

    inputs ──► rows (id, text | what is wrong) ──► Engine, bounded in flight ──► records, as they finish ──► output
                                                        ▲ prompt: made in one place, shared text first

Invariant: after a run, however it ended, every input row stands at most once in the output, and a second run with
`resume` computes exactly the missing and the failed ones. May import engine and schema; knows nothing of the worker.
"""

from radixgen.jobs.extract import ExtractJob, Summary, extract

__all__ = ["ExtractJob", "Summary", "extract"]
