"""``python -m ganaudit``."""

from ganaudit.cli.main import main

if __name__ == "__main__":
    main()
