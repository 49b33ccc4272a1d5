"""Processes the photographs of a folder as a worker does: `images FOLDER OUTPUTS`."""

if __name__ == "__main__":  # the process that does the work runs this file as well, and needs none of it
    import json
    import sys
    from pathlib import Path

    import uvloop

    from bench.imaging import process_all

    print(json.dumps(uvloop.run(process_all(Path(sys.argv[1]), Path(sys.argv[2])))))
