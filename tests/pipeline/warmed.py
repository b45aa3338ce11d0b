"""What a process needs before it measures anything, loaded once for all that are forked from it; see `forked`."""

from xoffset.pipeline.warmup import warm_worker

# nothing that is stored, since a library that waits for a thread of its own would wait for ever after a fork
warm_worker()
