"""`python -m fileservice` is the command line, as `fileservice` is where it is installed."""

from fileservice.cli.main import main

if __name__ == "__main__":
    main(prog_name="fileservice")
