"""`python run.py` is the installed command `comfywarm`, for those who run from a checkout."""

import sys

try:
    from statemachine.cli.main import main
except ModuleNotFoundError as error:
    sys.exit(f"run.py: {error}. Run `make .venv/ready` once, then use .venv/bin/python run.py")

if __name__ == "__main__":
    main()
