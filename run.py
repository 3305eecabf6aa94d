"""`python run.py` runs the command line from a checkout, like the installed command `comfywarm`."""

import sys

from comfywarm import main

if __name__ == "__main__":
    try:
        main()
    except ModuleNotFoundError as error:
        sys.exit(f"run.py: {error}; run `make setup` once, then use .venv/bin/python run.py")
