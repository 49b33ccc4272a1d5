"""Whether cost stays bounded as queues grow: `python -m bench.scale`."""
