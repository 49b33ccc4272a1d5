"""`python -m service`: one gRPC service process, as `qjobs service` runs it."""

from service.command import main

if __name__ == "__main__":
    main()
