"""`python -m gadfly` is `gadfly`."""

from gadfly.cli.main import main

if __name__ == "__main__":
    main()
