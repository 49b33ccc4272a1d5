"""The operator's half of `qjobs`: queues, jobs, schedules and workers, seen and steered over gRPC.

`cli.commands` declares what can be typed and imports next to nothing; the other modules do it, and are imported then.
"""
