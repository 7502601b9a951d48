# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-test outside the checkout, without the download that it would start with.

ansible-test refuses a checkout that does not lie in `ansible_collections/<namespace>/<name>`, and `--venv` wants to fetch pip's
installer from a server of its own. Both are met here: the tree is copied to such a path, and the installer's place in
ansible-test's cache is taken by a few lines that do the same from the packages that Python carries.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tools.environment import find_uv, uv_environment

# Never part of the collection, and large.
NOT_COPIED = {"collections", ".git", ".cache", ".venv", ".ansible", "build", "dist"}
# Ordinary Python projects beside the collection: ruff and mypy judge them, by the rules of such projects.
NOT_ANSIBLE = {"src", "molecule", "tests"}

BOOTSTRAP = '''\
"""Stands in for get-pip.py: the pip that Python carries, then the packages asked for."""

import subprocess
import sys

packages = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
subprocess.check_call([sys.executable, "-m", "ensurepip", "--upgrade", "--default-pip"])
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
'''
# pip takes five seconds for each of the eight environments that ansible-test makes; uv, where it is, half a second.
BOOTSTRAP_WITH_UV = '''\
"""Stands in for get-pip.py: puts a package pip there that hands everything to uv."""

import pathlib
import sysconfig

package = pathlib.Path(sysconfig.get_path("purelib")) / "pip"
package.mkdir(parents=True, exist_ok=True)
(package / "__init__.py").write_text("")
(package / "__main__.py").write_text("""
import os
import sys

words = [word for word in sys.argv[1:] if word not in ("--disable-pip-version-check", "-y")]
os.environ.update({settings})
if words == ["-V"]:
    print("uv in the place of pip")
else:
    # As pip does: what Python says while it compiles a package would be taken for words of the test.
    compiled = ["--compile-bytecode"] if words[0] == "install" else []
    os.execv({uv}, ["uv", "pip", words[0], "--quiet", "--python", sys.executable, *compiled, *words[1:]])
""")
'''


def files_of_the_tree(repository: Path) -> list[Path]:
    """Return the paths of all files that git tracks or would track, relative to `repository`; collections/ is left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repository,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    paths = (Path(name) for name in sorted(set(listed.split("\0"))) if name)
    return [path for path in paths if path.parts[0] not in NOT_COPIED and (repository / path).is_file()]


def copy_tree(repository: Path, root: Path) -> Path:
    """Copy what ansible-test judges to ansible_collections/sre/runbooks under `root` and return that folder.

    `root` must lie outside the checkout: inside it, ansible-test asks git and skips everything as ignored.
    """
    target = root / "ansible_collections" / "sre" / "runbooks"
    for path in files_of_the_tree(repository):
        if path.parts[0] in NOT_ANSIBLE and path != Path("tests/config.yml"):
            continue
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repository / path, target / path, follow_symlinks=False)
    return target


def seed_installer(home: Path, site_packages: Path) -> None:
    """Put the stand-in where the ansible-test in `site_packages` looks for pip's installer when its home folder is `home`.

    Raises:
        LookupError: when ansible-test no longer says which version of pip it wants where 2.19 to 2.21 say it.
    """
    source = site_packages / "ansible_test" / "_internal" / "python_requirements.py"
    found = re.search(r"""pip=['"]([0-9.]+)['"]""", source.read_text(encoding="utf-8"))
    if not found:
        raise LookupError(f"{source} does not name a version of pip any more")
    installer = home / ".ansible" / "test" / "cache" / f"get_pip_{found.group(1).replace('.', '_')}.py"
    installer.parent.mkdir(parents=True, exist_ok=True)
    uv = find_uv()
    # The person's own settings and cache go on to count.
    settings = {name: value for name, value in uv_environment().items() if name.startswith("UV_")} | {"HOME": str(Path.home())}
    with_uv = BOOTSTRAP_WITH_UV.replace("{settings}", repr(settings)).replace("{uv}", repr(uv))
    installer.write_text(with_uv if uv else BOOTSTRAP, encoding="utf-8")
