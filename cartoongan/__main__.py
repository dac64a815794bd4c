"""`python -m cartoongan`: the same as the command `cartoongan`."""

from cartoongan.cli import main

if __name__ == "__main__":
    main(prog_name="python -m cartoongan")
