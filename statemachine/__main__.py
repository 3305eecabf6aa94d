"""`python -m statemachine` runs the command line, like the installed command `comfywarm`."""

from statemachine.cli.main import main

if __name__ == "__main__":
    main()
