#!/usr/bin/env python3
"""Holds the AWS codec against what others know of EC2: botocore's signer and service model, and moto.

    python tests/oracles/aws/run.py            everything
    python tests/oracles/aws/run.py moto       tests whose names hold this word

The packages of requirements.txt are installed into an environment of their own, once, in Tidegate's cache.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import unittest
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
REQUIREMENTS = HERE / "requirements.txt"


def cache():
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("TIDEGATE_CACHE") or pathlib.Path(home) / "tidegate")


def environment():
    """The environment that holds just what is required; made where there is none."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    folder = cache() / "python" / f"oracles-aws-{digest}"
    if not (folder / ".complete").exists():
        print(f"creating a Python environment in {folder} (once)", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", REQUIREMENTS], check=True)
        (folder / ".complete").touch()
    return folder


def main():
    folder = environment()
    if pathlib.Path(sys.prefix).resolve() != folder.resolve():
        python = folder / "bin" / "python"
        os.execv(python, [python, __file__, *sys.argv[1:]])
    build = ["cargo", "build", "--quiet", "--package", "tidegate-provider-aws", "--examples"]
    subprocess.run(build, cwd=ROOT, check=True)
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{word}*" for word in sys.argv[1:]] or None
    suite = loader.discover(str(HERE), pattern="*_test.py")
    return 0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
