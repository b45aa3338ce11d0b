"""The only place that knows dask and threads: tiles, halos, blocks of pixels."""
