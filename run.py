"""`python run.py` is the installed command `comfywarm`, for those who run from a checkout."""

from statemachine.cli.main import main

if __name__ == "__main__":
    main()
