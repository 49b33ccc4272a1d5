"""`python -m workers [queue ...]`: one worker process for the queues named, or for all."""

if __name__ == "__main__":  # the processes that work for a job run this file as well, and need none of it
    from workers.command import main

    main()
